// libFuzzer target: the safetensors reader, header and values. The input is taken once as a file and once as a header,
// to which the right length and as much data as its offsets ask for are added, so that mutations get past these checks.
//   clang++ -std=c++20 -I. -O1 -g -fsanitize=fuzzer,address,undefined tests/fuzz/fuzz_safetensors.cpp
//     engine/io/safetensors.cpp engine/io/safetensors_header.cpp engine/io/file.cpp engine/error.cpp -o
//     fuzz_safetensors
#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "engine/error.h"
#include "engine/io/safetensors.h"

namespace {

void try_file(std::span<const std::byte> bytes) {
  try {
    const auto file = gradus::SafetensorsFile::parse(bytes);
    uint64_t covered = 0;
    for (const auto& t : file.tensors()) {
      if (t.begin != covered || t.end < t.begin || t.end > bytes.size() || file.find(t.name) != &t) std::abort();
      covered = t.end;
      if (t.dtype[0] != 'F' && t.dtype[0] != 'B') continue;
      if (t.dtype == "BOOL") continue;
      std::vector<double> values(static_cast<size_t>(t.numel()));
      file.read(t, std::span(values));
    }
  } catch (const gradus::DataError&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  try_file(bytes);
  // The largest number of up to four digits before a ']' is taken for the end of the data.
  uint64_t end = 0, number = 0;
  for (size_t i = 0; i < size; ++i) {
    if (data[i] == ']') end = std::max(end, number);
    number = data[i] >= '0' && data[i] <= '9' ? std::min<uint64_t>(number * 10 + (data[i] - '0'), 9999) : 0;
  }
  const uint64_t header = size;
  std::vector<std::byte> file(8 + size + end);
  std::memcpy(file.data(), &header, 8);
  std::copy(bytes.begin(), bytes.end(), file.begin() + 8);
  try_file(file);
  return 0;
}
