// How much a batch stands for.
#pragma once

#include "models/text/corpus.h"

namespace gradus {

// How many targets a split has.
int64_t targets_in(const Corpus& corpus, Split split);
// How many sequences make up a split: its lines, or the windows into which one long text is cut without overlap. B
// random ones of them count for the text when they are multiplied by sequences_in / B. To divide by their own targets
// and multiply by those of the text would make a token of a short line count for more.
double sequences_in(const Corpus& corpus, Split split);
// B of these sequences, each equally likely; as Batch::draw(), number `first` and so on of rng. Lines are those that
// Batch::draw() gives. Its windows of one long text begin anywhere, so fewer of them hold a token near an edge.
void draw_sequences(Batch& batch, const Corpus& corpus, Split split, const Rng& rng, int64_t first, int64_t B);

}  // namespace gradus
