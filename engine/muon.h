// Muon (Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"): the step of a matrix W [R,C]
// that maps hidden vectors to hidden vectors. AdamW makes it for these where its options say so (engine/optim.h).
//
//   M ← μ M + (1−μ) G,   U = μ M + (1−μ) G   (Nesterov's momentum),   W ← W − lr (decay W + 0.2 √max(R,C) O(U))
//
// O(U) has the singular vectors of U and singular values around 1: what the gradient says of weak directions counts as
// much as what it says of strong ones. Its factor makes a step as large as those of AdamW, so both share one learning
// rate (Liu et al. 2025, "Muon is Scalable for LLM Training").
#pragma once

#include "engine/params.h"

namespace gradus {

inline constexpr double kMuonMomentum = 0.95;  // μ

// y = O(x), both [R,C]; x is scaled to Σ x² = 1. A singular value σ of the scaled x becomes one from 0.13 to 1.87 where
// it is at least 0.001, below that at most 140.4 σ. O(0) = 0.
// REQUIRES: work has 4 min(R,C)² numbers.
void orthogonalise(int64_t R, int64_t C, real* x, real* y, real* work);

// Numbers of work that muon_step wants for the largest of these parameters; 0 where none has maps.
int64_t muon_work(const Params& params);

// One step of the matrix w [R,C] with its momentum m and its gradient g · factor, each of its maps by itself:
// with queries, keys and values as one matrix a text of Shakespeare ended at a loss of 1.912 instead of 1.879 (one
// seed). REQUIRES: it has maps.
void muon_step(const Shape& shape, const HiddenMaps& maps, const real* g, double factor, double lr, double decay,
               real* w, real* m, real* work);

}  // namespace gradus
