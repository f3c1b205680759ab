// gradus bayes: the posterior of the probabilities of a counted family, in closed form (models/counted/dirichlet.h).
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <functional>
#include <numeric>

#include "apps/bayes/lesson.h"
#include "apps/console.h"
#include "apps/corpus_files.h"
#include "apps/embedded.h"
#include "apps/format.h"
#include "apps/kl/pages.h"
#include "engine/io/json_number.h"
#include "models/counted/dirichlet.h"
#include "models/memory.h"
#include "models/text/read_text.h"
#include "models/text/utf8.h"

namespace gradus {
namespace {

// The A of "dirichlet:A".
double prior_of(const std::string& word) {
  constexpr std::string_view kDirichlet = "dirichlet:";
  constexpr double kLeast = 1e-9, kMost = 1e9;
  double A = 0;
  const char* const end = word.data() + word.size();
  if (word.starts_with(kDirichlet))
    if (const auto [at, error] = std::from_chars(word.data() + kDirichlet.size(), end, A);
        error == std::errc() && at == end && A >= kLeast && A <= kMost)
      return A;
  throw UsageError(text("--prior ", word, ": must be dirichlet:A with A from ", kLeast, " to ", kMost));
}

// What is known of lines that the counts have not seen.
struct HeldOut {
  int64_t lines = 0, tokens = 0;
  double predictive = 0, mle = 0;  // sums of log p
};

HeldOut measure(const DirichletRows& rows, const Corpus& corpus) {
  HeldOut out{.lines = corpus.lines(Split::kAll)};
  for (int64_t i = 0; i < out.lines; ++i) {
    const std::span<const int32_t> targets = corpus.window(Split::kAll, i).targets;
    out.tokens += std::ssize(targets);
    out.predictive += rows.log_predictive(targets);
    out.mle += rows.log_likelihood(targets);
  }
  return out;
}

Json rows_json(const DirichletRows& rows, const Tokenizer& tokenizer, double A) {
  Json all = Json::array();
  rows.each([&](int64_t row) {
    const std::vector<double> dense = rows.counts(row);
    const DirichletPosterior posterior = dirichlet_posterior(dense, A);
    Json texts = Json::array(), tokens = Json::array();
    for (const int32_t id : rows.history(row)) texts.push_back(tokenizer.vocab()[size_t(id)]);
    for (size_t k = 0; k < dense.size(); ++k)
      tokens.push_back({{"text", tokenizer.vocab()[k]},
                        {"count", dense[k]},
                        {"mean", posterior.mean[k]},
                        {"variance", posterior.variance[k]},
                        {"predictive", posterior.mean[k]}});
    all.push_back({{"history", texts}, {"tokens", tokens}});
    return true;
  });
  return all;
}

// What follows one history, the most probable first.
void print_row(const DirichletRows& rows, int64_t row, const Tokenizer& tokenizer, double A) {
  constexpr size_t kMostTokens = 8;
  const std::vector<double> dense = rows.counts(row);
  const std::vector<int32_t> history = rows.history(row);
  const DirichletPosterior posterior = dirichlet_posterior(dense, A);
  std::vector<size_t> order(dense.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, std::greater(), [&](size_t k) { return dense[k]; });  // and so by mean
  const std::string name = in_quotes(one_line(tokenizer.decode(history), 60));
  std::printf("\n%s\n", history.empty() ? "at the beginning" : ("after " + name).c_str());
  std::printf("  %s  %8s  %10s  %10s\n", left("token", 16).c_str(), "count", "mean", "deviation");
  order.resize(std::min(kMostTokens, order.size()));
  for (const size_t k : order)
    std::printf("  %s  %8s  %10s  %10s\n", left(in_quotes(one_line(tokenizer.vocab()[k], 14)), 16).c_str(),
                significant(dense[k], 8).c_str(), fixed(posterior.mean[k], 6).c_str(),
                fixed(std::sqrt(posterior.variance[k]), 6).c_str());
  if (dense.size() > kMostTokens) std::printf("  ... and %zu more\n", dense.size() - kMostTokens);
}

// The rows of the most frequent histories; of equally frequent ones those that come first.
void print_rows(const DirichletRows& rows, const Tokenizer& tokenizer, double A) {
  constexpr size_t kMostRows = 12;
  std::vector<int64_t> order;
  rows.each([&](int64_t row) {
    order.push_back(row);
    return true;
  });
  std::ranges::stable_sort(order, std::greater(), [&](int64_t row) { return rows.total(row); });
  for (size_t i = 0; i < std::min(kMostRows, order.size()); ++i) print_row(rows, order[i], tokenizer, A);
  if (order.size() > kMostRows)
    std::printf("\n... and %s rows of histories no more frequent; --json has all\n",
                grouped(int64_t(order.size() - kMostRows)).c_str());
}

}  // namespace

int bayes(const BayesCommand& command) {
  if (command.lesson) {
    std::fputs(page_text(apps_bayes_lesson_txt, bayes_numbers()).c_str(), stdout);
    return kDone;
  }
  Console console(command.common);
  const double A = prior_of(command.prior);
  Config config = command.config;
  config.val_fraction = 0;
  config.context = 1;  // counts see no window: a text of two tokens has a posterior
  try {
    config.resolve(1);
  } catch (const DataError& error) {
    throw UsageError(error.what());
  }
  const CorpusFiles files = read_corpus_files(command.corpus, config);
  const Tokenizer tokenizer = config.lines ? Tokenizer::from_lines(config.tokenizer, split_lines(files.content))
                                           : Tokenizer::from_text(config.tokenizer, files.content);
  config.end_id = tokenizer.end_id();
  const Corpus corpus(config.corpus(), tokenizer, files.content, files.name());
  const bool windowed = config.family().has("order");  // else a row has all of a line before it
  const DirichletRows rows(corpus, Split::kAll, tokenizer.size(), windowed ? config.order - 1 : INT64_MAX, A);
  constexpr double kOfNumber = 400, kOfText = 40;  // bytes of a token of a row, and of its history, as JSON
  if (command.common.json)
    require_memory(kOfNumber * double(rows.size()) * double(tokenizer.size()) + kOfText * rows.tokens_of_histories(),
                   "the rows as JSON", "use fewer or shorter lines, or a smaller --order");

  std::optional<HeldOut> held;
  if (!command.held_out.empty()) {
    const CorpusFiles other = read_corpus_files({command.held_out}, config);
    held = measure(rows, placed(other, tokenizer,
                                [&] { return Corpus(config.corpus(), tokenizer, other.content, other.name()); }));
  }
  if (command.common.json) {
    Json result{{"log_evidence", rows.log_evidence()}, {"rows", rows_json(rows, tokenizer, A)}};
    if (held)
      result["held_out"] = {{"lines", held->lines},
                            {"tokens", held->tokens},
                            {"predictive", json_number(-held->predictive)},
                            {"mle", json_number(-held->mle)}};
    std::printf("%s\n", result.dump().c_str());
    return kDone;
  }
  std::printf("log evidence %s nats: the log-probability of the text,\nits probabilities integrated out.\n",
              significant(rows.log_evidence(), 12).c_str());
  print_rows(rows, tokenizer, A);
  if (held)
    std::printf("\n%s: %s lines cost\n%s nats under the predictive,\n%s at the maximum of the likelihood.\n",
                one_line(command.held_out, 40).c_str(), grouped(held->lines).c_str(),
                fixed(-held->predictive, 6).c_str(), fixed(-held->mle, 6).c_str());
  if (windowed) console.note(text("train --model ngram --smoothing add --alpha ", A, " predicts one more token so."));
  return kDone;
}

}  // namespace gradus
