// Defines GRADUS_SANITIZED in a build with the address or the thread sanitizer, whose allocators end the program
// instead of refusing, and which take terabytes of addresses. g++ and clang++ say it in different ways.
#pragma once

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define GRADUS_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define GRADUS_SANITIZED
#endif
#endif
