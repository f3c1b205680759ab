// How much a batch stands for.
#pragma once

#include "models/text/corpus.h"

namespace gradus {

// How many targets a split has.
int64_t targets_in(const Corpus& corpus, Split split);
// How many sequences such as Corpus::draw() gives make up a split: its lines; of one long text its targets, divided by
// those of a window. B random sequences count for the text when they are multiplied by sequences_in / B. To divide by
// their own targets and multiply by those of the text would make a token of a short line count for more.
double sequences_in(const Corpus& corpus, Split split);

}  // namespace gradus
