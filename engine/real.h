// The scalar type of the engine. One source, two builds: GRADUS_REAL is `float` (build/release-f32) or
// `double` (build/release-f64). Losses, rewards and other numbers of the host are always double.
#pragma once

#ifdef GRADUS_NO_REAL
#error this file is compiled once for both flavours (ONCE in the Makefile) but sees `real`: take it out of that list
#endif
#ifndef GRADUS_REAL
#define GRADUS_REAL float
#endif

#include <cstdint>

namespace gradus {

using real = GRADUS_REAL;

inline constexpr bool kDouble = sizeof(real) == 8;
inline constexpr const char* kRealName = kDouble ? "f64" : "f32";  // as file names and the checkpoint say it

// Sums of so many floats go on in double (engine/kernels.h).
inline constexpr int64_t kLongSum = 4096;
inline constexpr bool is_long(int64_t n) { return !kDouble && n > kLongSum; }

}  // namespace gradus

// Link guard: every object refers to the symbol of its own flavour, gradus_built_with_float or _double, and a library
// defines one of the two (engine/error.cpp), so that objects of different flavours do not link.
#define GRADUS_PASTE_(a, b) a##b
#define GRADUS_PASTE(a, b) GRADUS_PASTE_(a, b)
#define GRADUS_FLAVOUR_SYMBOL GRADUS_PASTE(gradus_built_with_, GRADUS_REAL)
extern "C" const char GRADUS_FLAVOUR_SYMBOL;
[[gnu::used]] static const char* const gradus_link_guard = &GRADUS_FLAVOUR_SYMBOL;
