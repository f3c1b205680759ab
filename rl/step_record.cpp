#include "rl/step_record.h"

namespace gradus {

double loss_of(const UpdateRecord& update, const PaddedBatch& minibatch) {
  double loss = 0;
  for (size_t k = 0; k < kScores; ++k) {
    const std::vector<double>& weight = update.descent.*kWeightOf[k];
    if (kWeightOf[k] == &Weights::value) continue;
    for (size_t i = 0; i < weight.size(); ++i)
      if (minibatch.targets[i] >= 0 && weight[i] != 0) loss += weight[i] * (update.now.*kScoreOf[k])[i];
  }
  return loss;
}

}  // namespace gradus
