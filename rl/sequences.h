// Sequences of tokens as reinforcement learning sees them: the world they come from, a list of them, and the padded
// layout in which a model scores them.
//
// The tokens of a sequence are its draws: the end mark is the last of them, and a sequence cut at the limit has none.
// The prompt is no part of it. The log-probability of a sequence is the sum over its draws.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "engine/error.h"

namespace gradus {

// What can be drawn: everything that a model says after `prompt`, up to the end mark or `max_tokens` draws.
struct World {
  std::vector<int32_t> prompt;  // the tokens before the first draw, at least one
  int32_t end_id = -1;          // the draw that ends a sequence; -1: none, every sequence has max_tokens draws
  int64_t max_tokens = 1;       // draws, the end mark counted
  double temperature = 1;       // divides the logits of every model; positive
};

// Draws of many sequences, one sequence after the other: 4 bytes a draw and 8 a sequence.
class Sequences {
 public:
  explicit Sequences(int32_t end_id) : end_id_(end_id) {}
  void add(std::span<const int32_t> draws);
  int32_t end_id() const { return end_id_; }
  int64_t size() const { return int64_t(first_.size()) - 1; }
  std::span<const int32_t> draws(int64_t i) const {
    return std::span(tokens_).subspan(size_t(first_[size_t(i)]), size_t(first_[size_t(i) + 1] - first_[size_t(i)]));
  }
  int64_t first(int64_t i) const { return first_[size_t(i)]; }  // draws of the sequences before i
  bool operator==(const Sequences&) const = default;
  bool ended(int64_t i) const { return !draws(i).empty() && draws(i).back() == end_id_; }
  // The draws without the end mark, as rewards and people see them.
  std::span<const int32_t> text(int64_t i) const { return draws(i).first(draws(i).size() - size_t(ended(i))); }

 private:
  int32_t end_id_;
  std::vector<int32_t> tokens_;
  std::vector<int64_t> first_{0};
};

// What sequences are worth: r of each, [B], which is paid on its last draw; or, of a reward that is paid draw by draw
// (rl/pay.h), one number for each draw, sequence after sequence. prompt[b] is the number of the prompt that sequence b
// continues.
using RewardFunction = std::function<std::vector<double>(const Sequences& sequences, std::span<const int32_t> prompt)>;

// B sequences laid out for one teacher-forced pass: row b reads the prompt and its draws but the last, and is scored on
// its draws alone. Slot (b, t) of any array [B,T] belongs to the draw that follows inputs (b, t); slots before
// first_slot(b) and from end_slot(b) on are padding, which nothing reads and which gets no gradient, whatever stands
// there.
struct PaddedBatch {
  int64_t B = 0, T = 0;
  std::vector<int32_t> inputs, targets;  // [B,T]; targets are kNoTarget in padding
  std::vector<int64_t> prompt, length;   // [B], tokens of the prompt and draws of each sequence

  int64_t first_slot(int64_t b) const { return prompt[size_t(b)] - 1; }
  int64_t end_slot(int64_t b) const { return first_slot(b) + length[size_t(b)]; }

  // All sequences, sequence b behind prompts[of[b]]. Every token must be in the vocabulary of who scores them.
  void fill(std::span<const std::vector<int32_t>> prompts, std::span<const int32_t> of, const Sequences& sequences);
  void fill(const std::vector<int32_t>& only_prompt, const Sequences& sequences);  // all behind one
};

}  // namespace gradus
