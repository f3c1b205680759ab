#include "apps/latent.h"

#include <cstdio>

#include "apps/format.h"
#include "engine/io/json_number.h"
#include "models/memory.h"
#include "models/text/utf8.h"

namespace gradus {

int64_t latent_draws(const Checkpoint& run, int64_t asked) {
  if (asked > 0 && !vae_in(*run.model))
    throw UsageError(text("--importance draws latent vectors, and ", run.path, " is ", run.config.family().title,
                          ", which has none"));
  return asked > 0 ? asked : run.config.importance;
}

double score_text_bytes(const Vae& model, int64_t T) {
  return evaluation_bytes(model, 1, T, 1) + sampling_bytes(model, kDrawsAtOnce, false);
}

Json z_json(std::span<const real> z) { return json_numbers(std::vector<double>(z.begin(), z.end())); }

Json latent_json(const LatentBounds& sum, int64_t draws) {
  const double n = double(sum.texts);
  return {{"elbo", json_number(sum.elbo / n)},
          {"kl", json_number(sum.kl / n)},
          {"importance", json_number(sum.importance / n)},
          {"draws", draws},
          {"texts", sum.texts}};
}

std::string latent_line(const LatentBounds& sum, int64_t draws) {
  const double n = double(sum.texts);
  return text(grouped(sum.texts), " texts, nats a text: ELBO ", fixed(sum.elbo / n, 4), " with a KL of ",
              fixed(sum.kl / n, 4), "; importance-weighted log p ", fixed(sum.importance / n, 4), " from ", draws,
              draws == 1 ? " draw" : " draws");
}

int interpolate(const SampleCommand& command, const Checkpoint& run) {
  const Vae* vae = vae_in(*run.model);
  if (!vae)
    throw UsageError(text("--interpolate goes from one latent vector to another, and ", run.path, " is ",
                          run.config.family().title, ", which has none"));
  const int32_t end_id = run.tokenizer.end_id();
  Tape tape;
  const Tape::Use use(tape);
  std::vector<real> ends[2];
  for (size_t i = 0; i < 2; ++i) {
    std::vector<int32_t> ids = run.tokenizer.encode(command.interpolate[i]);
    ids.push_back(end_id);
    require_memory(evaluation_bytes(*vae, 1, std::ssize(ids), 1), "a text of --interpolate", "use a shorter one");
    ends[i] = latent_mean(*vae, ids);
  }
  const int64_t points = command.count + 2, D = vae->latent();
  require_memory(sampling_bytes(*vae, points, false), text(grouped(points), " texts"), "use a smaller --count");
  const auto share = [&](int64_t i) { return double(i) / double(points - 1); };
  std::vector<real> z;
  for (int64_t i = 0; i < points; ++i)
    for (size_t d = 0; d < size_t(D); ++d)
      z.push_back(real((1 - share(i)) * double(ends[0][d]) + share(i) * double(ends[1][d])));
  const auto texts = greedy_texts(*vae, z, run.start_id, end_id, command.tokens);
  Json list = Json::array();
  for (int64_t i = 0; i < points; ++i) {
    const std::vector<int32_t>& tokens = texts[size_t(i)];
    const std::string drawn = run.tokenizer.decode(tokens);
    if (!command.common.json) {
      std::printf("%s  %s\n", fixed(share(i), 3).c_str(), harmless_line(drawn).c_str());
      continue;
    }
    list.push_back({{"share", share(i)},
                    {"z", z_json(std::span(z).subspan(size_t(i * D), size_t(D)))},
                    {"text", valid_utf8(drawn)},
                    {"tokens", tokens},
                    {"ended", !tokens.empty() && tokens.back() == end_id}});
  }
  if (command.common.json) std::printf("%s\n", Json{{"interpolation", list}}.dump().c_str());
  return kDone;
}

}  // namespace gradus
