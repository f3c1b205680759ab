// ModelOptions: everything that a model is built from: its family, its sizes, its ops. A model knows no steps or
// learning rates; models/run/config.h adds them, and the table of all options.
#pragma once

#include <cstdint>
#include <string>

#include "models/table.h"

namespace gradus {

// What an n-gram model does about runs that it has not seen.
enum class Smoothing { kNone, kAdd, kKneserNey };
inline constexpr Named<Smoothing> kSmoothings[] = {
    {"none", Smoothing::kNone}, {"add", Smoothing::kAdd}, {"kneser-ney", Smoothing::kKneserNey}};

// Fused kernels, or ops composed from primitives (engine/composed.h).
enum class Ops { kFused, kComposed };
inline constexpr Named<Ops> kOps[] = {{"fused", Ops::kFused}, {"composed", Ops::kComposed}};

// What a classifier knows of a text: the features of its last token, or the mean of all.
enum class Pooling { kEnd, kMean };
inline constexpr Named<Pooling> kPoolings[] = {{"end", Pooling::kEnd}, {"mean", Pooling::kMean}};

inline constexpr int64_t kMostImportance = 1 << 16;

struct ModelOptions {
  std::string model = "transformer";  // the family, a row of models/families.h
  bool lines = false;                 // the texts are lines, each a sequence between end marks
  bool pairs = false;                 // the lines are prompts with replies, a mark between them: models/text/pairs.h
  int64_t layers = 0;                 // 0: the family's default
  int64_t heads = 4;
  int64_t embd = 128;
  int64_t hidden = 256;
  int64_t memory = 0;
  int64_t context = 64;
  double dropout = 0;
  bool bias = true;
  int64_t order = 3;
  std::string smoothing = "none";  // a row of kSmoothings
  double alpha = 1;
  std::string ops = "fused";  // a row of kOps
  int64_t seed = 1;
  int64_t end_id = -1;  // with lines the id of the end mark, the last of the vocabulary; not an option
  double mask_rate = 0.15;
  int64_t latent = 8;
  int64_t kl_anneal = 1000;
  double word_dropout = 0;
  int64_t importance = 64;
  std::string pool = "end";  // of a classifier, a row of kPoolings
  int64_t labels = 0;        // of a classifier, how many it tells apart; 0 of a language model; not an option
};

}  // namespace gradus
