// What `eval`, `score` and `sample` say of a run of --model vae beside what they say of every run.
#pragma once

#include "apps/commands.h"
#include "engine/io/json.h"
#include "models/run/checkpoint.h"
#include "models/vae_texts.h"

namespace gradus {

// The latent vectors to be drawn of a text: those asked for with --importance, or the run's own number.
// UsageError where they are asked for of a model without any.
int64_t latent_draws(const Checkpoint& run, int64_t asked);
// What score_text() takes for a text of T tokens, however many the draws.
double score_text_bytes(const Vae& model, int64_t T);
Json z_json(std::span<const real> z);  // the numbers as a list
// Means over texts, in nats a text: {"elbo","kl","importance","draws","texts"}.
Json latent_json(const LatentBounds& sum, int64_t draws);
std::string latent_line(const LatentBounds& sum, int64_t draws);  // the same for people

// Of `sample --interpolate A B`: the most probable texts on the way from A's latent vector to B's.
int interpolate(const SampleCommand& command, const Checkpoint& run);

}  // namespace gradus
