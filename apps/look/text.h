// An Insight in a terminal of 80 columns.
#pragma once

#include <string>

#include "apps/look/insight.h"

namespace gradus {

// The text, each token on a background that is the stronger the more it surprised the model, for a terminal of 256
// colours; where `colour` is false nothing.
std::string coloured_text(const Checkpoint& run, const Insight& insight, bool colour);
// A line for each place: the token, its surprise in nats, its rank and the likeliest tokens there.
std::string places_text(const Checkpoint& run, const Insight& insight);
// A line for each head of attention: where its weight goes on average; empty where there is none.
std::string heads_text(const Insight& insight);
// A line for each gate, the cells, the output or the features of each layer: what their numbers are like; empty where
// there are none.
std::string units_text(const Insight& insight);

// How strong the colour of a surprise is, from 0 to 1: 1 at the surprise of a uniform choice among `vocabulary` tokens.
double strength(double nats, int64_t vocabulary);

}  // namespace gradus
