// The base of a run with an adapter: a file that the run names, and perhaps nobody else.
#pragma once

#include <functional>
#include <string>

namespace gradus {

class ArchiveReader;

// The place of a file, absolute, and the same as seen from a folder.
std::string whole_path(const std::string& path);
std::string seen_from(const std::string& folder, const std::string& path);

// The section of the run that names its base, {"path", "hash", "from_run"}: where it was, its hash, and where it was as
// seen from the folder of the run ("" if that is not known).
inline constexpr const char* kBase = "base";
// Opens it where it was, or else where the run sees it now. DataError unless it is a regular file with this hash and
// without an adapter of its own; it says where to put it.
ArchiveReader open_base(ArchiveReader& run);

// From now on it is called with the path of a base before that is opened, to be shown. Null: nobody is. Not to be
// called while checkpoints are read.
using ShowBase = std::function<void(const std::string& path)>;
void show_bases_with(ShowBase show);

}  // namespace gradus
