// The version of the library and the program: `gradus --version`, logs, reports.
#pragma once

namespace gradus {

inline constexpr const char* kGradusVersion = "0.1";

}  // namespace gradus
