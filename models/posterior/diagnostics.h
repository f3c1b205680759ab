// What Markov chains say of themselves: whether they agree, and how many independent draws theirs are worth (Gelman et
// al., Bayesian Data Analysis, 3rd ed., 11.4 and 11.5).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace gradus {

using Trace = std::vector<double>;  // a number of one chain, step by step

// The first chain whose trace is one finite number all along, -1 where there is none. Its variance is 0, of which a sum
// leaves only rounding.
int64_t first_unmoved(std::span<const Trace> chains);
// The potential scale reduction of the halves of chains: 1 where all have one distribution. NaN for fewer than 4 steps,
// or where a chain has not moved; ShapeError for traces of different lengths.
double r_hat(std::span<const Trace> chains);
// The number of independent draws whose mean would be as good: M n / (1 + 2 Σ ρ_t), the sum cut where a pair of
// neighbouring ρ falls below 0 (Geyer 1992), on the halves of chains. NaN for fewer than 4 steps, and 0 where a chain
// has not moved.
double effective_sample_size(std::span<const Trace> chains);

}  // namespace gradus
