// The page of `gradus bayes --lesson`: lesson.txt, in which numbers appear by name (apps/kl/pages.h).
#pragma once

#include "apps/kl/worked_example.h"

namespace gradus {

WorkedNumbers bayes_numbers();

}  // namespace gradus
