// gradus sample: text from a trained model, token by token. On a terminal it appears as it is drawn.
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "apps/candidates.h"
#include "apps/commands.h"
#include "apps/format.h"
#include "apps/latent.h"
#include "apps/output_filter.h"
#include "apps/run.h"
#include "engine/io/json_number.h"
#include "engine/long_loop.h"
#include "models/memory.h"
#include "models/run/checkpoint.h"
#include "models/sampler.h"
#include "models/text/utf8.h"

namespace gradus {

// Writes text as it grows, with nothing in it that a terminal would obey: a character that is cut in the middle waits
// for the rest of its bytes, and a carriage return for what follows.
class Writer {
 public:
  void add(const std::string& bytes) {
    held_ += bytes;
    const size_t whole = held_.ends_with('\r') ? held_.size() - 1 : complete_length(held_);
    std::fputs(harmless(std::string_view(held_).substr(0, whole)).c_str(), stdout);
    held_.erase(0, whole);
    if (isatty(STDOUT_FILENO)) std::fflush(stdout);
  }
  void finish() {
    std::fputs((harmless(held_ + "\n")).c_str(), stdout);
    held_.clear();
  }

 private:
  std::string held_;
};

// One line for each draw: its place, the token and its probability, and the likeliest tokens there.
static void show_draw(const Tokenizer& tokenizer, int64_t place, const Sampler::Draw& draw, size_t columns) {
  const std::string head = right(grouped(place), 5) + " " + to_columns(shown_token(tokenizer, draw.token), columns) +
                           fixed(std::exp(draw.log_prob), 3) + "  ";
  std::printf("%s%s\n", head.c_str(), candidates_text(tokenizer, draw.likeliest, 5 + 1 + columns + 5 + 2).c_str());
  if (isatty(STDOUT_FILENO)) std::fflush(stdout);
}

int sample(const SampleCommand& command) {
  if (command.temperature > 0) note_action_values({command.run}, command.common);
  const Checkpoint run = load_writer(command.run);
  note_burn_in(run, command.common);
  if (!command.interpolate.empty()) return interpolate(command, run);
  const Vae* const vae = vae_in(*run.model);
  if (vae && !command.prompt.empty())
    throw UsageError(text("--prompt has no meaning for ", run.path, ", which is ", run.config.family().apart));
  const int32_t end_id = run.tokenizer.end_id();
  if (command.prompt_given && command.prompt.empty() && end_id < 0)
    throw UsageError("--prompt is empty; leave it out to start from a newline");
  const std::vector<int32_t> prompt = run.beginning(command.prompt);
  const SampleOptions options{.temperature = command.temperature,
                              .top_k = command.top_k,
                              .top_p = command.top_p,
                              .end_id = end_id,
                              .max_tokens = command.tokens,
                              .likeliest = command.top};
  const Rng rng(uint64_t(command.common.seed), Stream::kSample);
  OutputFilter filter(command.block, command.require, run.tokenizer);
  const bool filtered = !filter.lets_all_out();  // then nothing can be shown before all of it is there
  constexpr int64_t kUnknown = 1'000'000'000;    // nobody knows how many will be refused
  const int64_t group = side_by_side(*run.model), most = filtered ? kUnknown : command.count;
  const int threads = threads_for(command.common, (most + group - 1) / group);
  require_memory(threads * sampling_bytes(*run.model, std::min(group, most), end_id >= 0),
                 text("sampling from ", run.path, " on ", threads, threads == 1 ? " thread" : " threads"),
                 threads > 1 ? "use fewer --threads" : "the model remembers too much for this machine");
  // Where no text ends by itself, all at once will be as long as that.
  if (end_id < 0)
    require_memory(double(std::min(group * threads, most)) * double(command.tokens) *
                       (sizeof(int32_t) + sizeof(double) + double(command.top) * sizeof(Candidate)),
                   text("keeping texts of ", grouped(command.tokens), " tokens"), "use fewer --tokens");
  Pool pool(threads);

  const bool show = !command.common.json;
  Writer writer;
  bool follows = false;                                      // a token or a prompt precedes the next token
  int64_t place = 0;                                         // of the next draw
  const char* const between = end_id >= 0 ? "" : "\n---\n";  // lines stand below each other
  const size_t columns = command.top > 0 ? columns_of_tokens(run.tokenizer) : 0;
  const auto begin = [&](int64_t i) {
    place = 0;
    if (command.top > 0) {
      std::printf("%splace %sprob.  likeliest, with their probabilities\n", i > 0 ? "\n" : "",
                  to_columns("token", columns).c_str());
      return;
    }
    writer.add((i > 0 ? between : "") + command.prompt + (run.config.pairs ? run.joint() : ""));
    follows = !command.prompt.empty() && !run.config.pairs;
  };
  const auto write = [&](const Sampler::Draw& draw) {
    if (!show) return;
    if (command.top > 0) return show_draw(run.tokenizer, ++place, draw, columns);
    if (draw.token == end_id) return;
    writer.add((follows ? run.tokenizer.separator() : "") + run.tokenizer.decode({&draw.token, 1}));
    follows = true;
  };
  if (show && isatty(STDOUT_FILENO)) watch_with(nullptr);  // the text itself shows how far it is
  const LongLoop loop("drawing samples", command.count);
  if (!show) std::fputs("{\"samples\":[", stdout);
  // The first sequence of a batch appears as it is drawn, the others when all are there.
  for (int64_t first = 0, out = 0; out < command.count;) {
    loop.at(out);
    // What is refused is drawn again: as many as are wanted yet, and with each batch that was too few about twice as
    // many.
    const int64_t wanted = filtered ? std::max(command.count - out, first) : command.count - out;
    const int64_t count = std::min(group * pool.threads(), wanted);
    if (show && !filtered) begin(first);
    const std::vector<Drawn> batch = draw_sequences(*run.model, prompt, first, count, options, rng, pool,
                                                    filtered ? std::function<void(const Sampler::Draw&)>() : write);
    first += count;
    for (int64_t k = 0; k < count && out < command.count; ++k) {
      const auto& [tokens, log_probs, likeliest] = batch[size_t(k)];
      const std::string text = run.tokenizer.decode(tokens);
      if (filtered && !filter.lets_out(text)) continue;
      const bool is_shown = k == 0 && !filtered;
      const int64_t number = out++;
      if (!show) {
        Json sample{{"text", valid_utf8(text)},
                    {"tokens", tokens},
                    {"log_probs", json_numbers(log_probs)},
                    {"ended", !tokens.empty() && tokens.back() == end_id}};
        if (vae) sample["z"] = z_json(vae->drawn_z(rng, first - count + k));
        if (command.top > 0) sample["candidates"] = Json::array();
        for (const std::vector<Candidate>& here : likeliest)
          sample["candidates"].push_back(candidates_json(run.tokenizer, here));
        std::fputs(((number > 0 ? "," : "") + sample.dump()).c_str(), stdout);  // kept, all would take gigabytes
        continue;
      }
      if (!is_shown) begin(number);
      for (size_t t = 0; !is_shown && t < tokens.size(); ++t)
        write({k, tokens[t], log_probs[t],
               command.top > 0 ? std::span<const Candidate>(likeliest[t]) : std::span<const Candidate>()});
      if (command.top > 0) writer.add("text: " + (command.prompt.empty() ? "" : command.prompt + run.joint()) + text);
      writer.finish();
    }
  }
  if (filtered && !command.common.quiet) std::fprintf(stderr, "note: %s\n", filter.summary().c_str());
  if (!show) {
    std::fputs("]", stdout);
    if (filtered)
      std::printf(",\"drawn\":%lld,\"refused\":%lld", static_cast<long long>(filter.seen()),
                  static_cast<long long>(filter.refused()));
    std::fputs("}\n", stdout);
  }
  return kDone;
}

}  // namespace gradus
