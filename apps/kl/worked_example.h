// The world of four sentences in which the articles on apps/kl/numbers.txt calculate, and every number of theirs
// computed again. tests/goldens/worked_numbers.json holds what the numbers must be, from the definitions at 40 digits.
#pragma once

#include <string>
#include <vector>

#include "rl/tables/divergence.h"

namespace gradus {

// The cat, the dog, a cat, a dog.
struct FourSentences {
  Table q = Table::of({0.4, 0.3, 0.2, 0.1});   // the corpus, and the frozen prior
  Table pi = Table::of({0.5, 0.2, 0.1, 0.2});  // the policy; gradients are with respect to the logits of π
  Table p = Table::of({0.3, 0.4, 0.2, 0.1});   // the auxiliary n-gram model
  std::vector<double> r{1, 0, 1, 0};           // reward: the sentence contains "cat"
};

// The steps after which trajectories are looked at, and the coefficients of the posterior tables.
constexpr int kAscentSteps[] = {0, 1, 10, 100, 1000, 2000};
constexpr double kCoefs[] = {0.1, 0.5, 1, 2};

// Named lists of numbers, in the order of the sections.
class WorkedNumbers {
 public:
  struct Entry {
    std::string name;
    std::vector<double> values;
  };
  void add(const std::string& name, std::vector<double> values) { entries_.push_back({name, std::move(values)}); }
  void add(const std::string& name, double value) { entries_.push_back({name, {value}}); }
  const std::vector<Entry>& entries() const { return entries_; }
  // An unknown name throws ShapeError.
  const std::vector<double>& operator[](const std::string& name) const;
  double one(const std::string& name) const { return (*this)[name].at(0); }

 private:
  std::vector<Entry> entries_;
};
WorkedNumbers worked_numbers();

}  // namespace gradus
