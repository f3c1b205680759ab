// How much memory a process can still have, before it asks for it.
#pragma once

#include <string>

namespace gradus {

struct FreeMemory {
  double bytes;       // at most this much more
  std::string limit;  // what sets it, as a sentence goes on after the number: "is free on this machine"
};
// The least of what the system has available, what the control groups of this process leave (versions 1 and 2), and
// what its limit of address space leaves (ulimit -v). What cannot be read sets no limit. The files are those below
// `root`. Of what the machine and the groups have, this is the share of one of so many processes.
FreeMemory free_memory(const std::string& root = "", int processes = 1);
// What the limit of address space alone leaves; infinity where there is none.
double free_address_space(const std::string& root = "");

}  // namespace gradus
