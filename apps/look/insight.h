// Insight: what a trained model makes of a text, as plain numbers. The page (page.h) and the terminal (text.h) show it.
#pragma once

#include <string>
#include <vector>

#include "apps/look/principal.h"
#include "models/run/checkpoint.h"
#include "models/sampler.h"

namespace gradus {

// A head of attention, a gate, cells, or other units of one layer, at every place of the text.
struct Part {
  int64_t layer = 0;
  std::string name;      // as engine/ops_inside.h says it
  bool weights = false;  // of attention: the numbers of a place are weights of the inputs that it sees
  int64_t units = 0;     // of anything else: the numbers of a place
};

// One token of the text, as it is predicted from what stands before it.
struct Place {
  int64_t sequence = 0;  // a line of a --lines run; else there is one
  int64_t at = 0;        // in its sequence; its newest input is input `at`, the token before it
  int64_t first = 0;     // the first input that the model saw there; later ones than 0 where the context is full
  int32_t token = 0;
  double log_prob = 0;                          // natural
  int64_t rank = 1;                             // 1: no token was likelier
  std::vector<Candidate> likeliest = {};        // the five
  std::vector<std::vector<double>> parts = {};  // the numbers of each part here
};

struct Insight {
  std::vector<std::vector<int32_t>> inputs;  // of each sequence: the mark or start, then its tokens but for the last
  std::vector<Place> places;
  std::vector<Part> parts;
  int64_t left_out = 0;        // tokens of the text behind the last place, for which there was no room
  std::vector<int32_t> named;  // tokens whose vectors are drawn: those of the text, then the first of the vocabulary
  Plane plane;                 // their vectors, in the same order; no points where the model has none

  double nats() const;  // the mean of −log_prob
};

inline constexpr int64_t kLikeliest = 5, kMostPlaces = 1000, kMostPartNumbers = 100'000, kMostNamed = 300;

// Of sequences that each follow run.start_id. Probabilities come from the path that samples and scores; parts from the
// pass of training, on windows that begin where that path forgets what lies further back. What is more than kMostPlaces
// tokens or kMostPartNumbers numbers is left out at the end of the text. DivergedError where a logit is not a number.
Insight look_into(const Checkpoint& run, const std::vector<std::vector<int32_t>>& sequences);

// Of the weights of a part, the mean share on the input itself, the one before it and the first one, over places that
// see three inputs or more; NaN where there are none.
struct Attended {
  double itself, before, first;
};
Attended attended(const Insight& insight, size_t part);

}  // namespace gradus
