// apps/step/train_trace.h: the trace of a training step against the run that it is of.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "apps/step/train_trace.h"
#include "models/loss.h"

namespace {

using namespace gradus;

constexpr int64_t kBatch = 3, kContext = 5;

Checkpoint small_run(const std::string& family, const char* ops, const char* optimizer) {
  Config config;
  config.model = family;
  config.ops = ops;
  config.optimizer = optimizer;
  config.embd = 8;
  config.heads = 2;
  config.hidden = 6;
  config.context = kContext;
  config.layers = 1;
  config.batch = kBatch;
  config.dropout = 0.2;
  config.resolve(2);
  Tokenizer tokenizer = Tokenizer::from_text("char", "abc ");
  auto model = make_model(config, tokenizer.size());
  AdamW adamw(model->params(), adamw_options(config));
  for (size_t i = 0; i < adamw.m.size(); ++i) adamw.m[i] = real(0.001 * double(i % 7)), adamw.v[i] = real(0.01);
  adamw.steps = 4;
  return {config, std::move(tokenizer), std::move(model), std::move(adamw), 4, {}, 0, {"a.txt"}, "12", "core", ""};
}

// Step 5 of a run, as `gradus train` does it, and its trace.
struct Traced {
  Checkpoint run;
  Batch batch;
  std::vector<real> gradient, before;
  double loss = 0, factor = 0;
  Trace trace;

  Traced(const std::string& family, const char* ops, int shard_count, const char* optimizer = "adamw")
      : run(small_run(family, ops, optimizer)) {
    const std::string text = "abba cab bac abc cab ab abac cba ab ca bac abbc ab";
    const Corpus corpus(run.config.corpus(), run.tokenizer, text, "text");
    Shards shards(shard_count, 1);
    BatchLoss batch_loss(shards);
    batch.draw(corpus, Split::kTrain, Rng(uint64_t(run.config.seed), Stream::kBatch, 5), 0, kBatch);
    const double weight = 1 / double(batch.scored);
    const StepInfo info{.seed = uint64_t(run.config.seed), .step = 5, .training = true};
    loss = weight * batch_loss.forward(*run.model, batch, info);
    batch_loss.backward(weight);
    const auto of_batch = shards.gradient(run.model->params());
    gradient.assign(of_batch.begin(), of_batch.end());
    before.assign(run.model->params().data().begin(), run.model->params().data().end());
    factor = clip_factor(gradient_norm(gradient), 0.1);
    REQUIRE(factor < 1);
    trace = trace_of({5, batch, loss, of_batch, 0.01, factor}, run);
    run.optimizer->step(run.model->params(), of_batch, 0.01, factor);
  }
  const TraceValue& value(const std::string& name) const {
    const auto found = std::ranges::find(trace.values, name, &TraceValue::name);
    REQUIRE_MESSAGE(found != trace.values.end(), name);
    return *found;
  }
};

// The gradient of a value after the last step that adds to it.
const std::vector<double>* last_now(const Trace& t, int value) {
  const std::vector<double>* last = nullptr;
  for (const TraceStep& s : t.steps)
    for (const TraceAdd& a : s.adds)
      if (t.ops[size_t(s.op)].in[size_t(a.input)].value == value) last = &a.now;
  return last;
}

bool close(double a, double b) { return std::fabs(a - b) <= (kDouble ? 1e-13 : 1e-5) * std::max(1.0, std::fabs(b)); }

void check_parameters_of(const Traced& of) {
  const Trace& t = of.trace;
  const Params& params = of.run.model->params();
  REQUIRE(t.updates.size() == size_t(params.count()));
  for (const TraceUpdate& u : t.updates) {
    const TraceValue& v = t.values[size_t(u.value)];
    CAPTURE(v.name);
    const int64_t i = params.find(v.name), n = params.shape(i).numel();
    const auto* summed = last_now(t, u.value);
    REQUIRE(summed);
    REQUIRE(summed->size() == size_t(n));
    for (int64_t e = 0; e < n; ++e) {
      const size_t k = size_t(e), at = size_t(params.offset(i) + e);
      const bool same = v.data[k] == double(of.before[at]) && v.grad[k] == double(of.gradient[at]) &&
                        u.clipped[k] == double(real(of.factor) * of.gradient[at]) &&
                        u.m[k] == double(of.run.optimizer->m[at]) && u.v[k] == double(of.run.optimizer->v[at]) &&
                        u.after[k] == double(params.data()[at]) && u.change[k] == u.after[k] - v.data[k];
      CHECK_MESSAGE(same, e);
      CHECK(close((*summed)[k], v.grad[k]));  // but for the order of the sums
    }
    CHECK(v.agrees);
    const bool muon = of.run.optimizer->options().muon && params.maps(i);
    CHECK(u.worked.size() == (muon ? 4 : 5));
    CHECK(u.rule.empty() == !muon);
  }
}

}  // namespace

TEST_SUITE("step") {
  TEST_CASE(
      "step: a traced training step has the loss of the log, the gradients that the optimiser gets and what it "
      "makes of them, to the bit, for one shard and for several") {
    for (const char* family : {"transformer", "lstm", "nnlm"})
      for (const char* ops : {"fused", "composed"})
        for (const auto& [shards_of, name_of] :
             {std::pair{1, "adamw"}, std::pair{2, "adamw"}, std::pair{3, "adamw"}, std::pair{1, "muon"}}) {
          CAPTURE(family);
          CAPTURE(ops);
          const int shard_count = shards_of;
          const char* const optimizer = name_of;
          CAPTURE(shard_count);
          CAPTURE(optimizer);
          const Traced of(family, ops, shard_count, optimizer);
          CHECK(of.trace.loss == of.loss);
          check_parameters_of(of);
          for (const TraceOp& op : of.trace.ops)
            CHECK_MESSAGE((op.passes || !op.checked), op.kind->name << " " << op.error);
        }
  }

  TEST_CASE("step: a traced training step has the batch, the tokens of each row and the parts of attention") {
    const Traced of("transformer", "fused", 2);
    const TraceTable& table = of.trace.tables.at(0);
    REQUIRE(table.rows.size() == size_t(of.batch.scored));
    double mean = 0;
    for (size_t n = 0; n < table.rows.size(); ++n) {
      const auto text_at = [&](size_t column) { return std::get<std::string>(table.rows[n].at(column)); };
      CHECK(text_at(0) == std::to_string(int64_t(n) / kContext));
      CHECK(text_at(1) == of.run.tokenizer.token(of.batch.inputs[n]));
      CHECK(text_at(2) == of.run.tokenizer.token(of.batch.targets[n]));
      const double loss = std::get<double>(table.rows[n].at(4));
      CHECK(close(std::exp(-loss), std::get<double>(table.rows[n].at(3))));
      mean += loss / double(table.rows.size());
    }
    CHECK(close(mean, of.loss));
    const auto labels = [&](int list) { return list < 0 ? std::vector<std::string>{} : of.trace.labels[size_t(list)]; };
    const TraceValue& logits = of.value("logits");
    std::vector<std::string> vocabulary, tokens;
    for (int32_t id = 0; id < of.run.tokenizer.size(); ++id) vocabulary.emplace_back(of.run.tokenizer.token(id));
    for (const int32_t id : of.batch.inputs) tokens.emplace_back(of.run.tokenizer.token(id));
    CHECK(labels(logits.columns) == vocabulary);
    CHECK(labels(logits.rows) == tokens);
    // Attention of each head in each sequence: rows and columns are its tokens, rows sum to 1.
    for (int b = 0; b < kBatch; ++b)
      for (int head = 0; head < 2; ++head) {
        const TraceValue& P = of.value(text("h.0.attn.sequence.", b, ".head.", head, ".P"));
        const std::vector<std::string> its(tokens.begin() + b * kContext, tokens.begin() + (b + 1) * kContext);
        CHECK(labels(P.rows) == its);
        CHECK(labels(P.columns) == its);
        for (int64_t t = 0; t < kContext; ++t) {
          double sum = 0;
          for (int64_t j = 0; j < kContext; ++j) sum += P.data[size_t(t * kContext + j)];
          CHECK(close(sum, 1));
        }
      }
    const auto& loss_op = of.trace.ops[size_t(of.value("−log p").op)];
    CHECK(loss_op.ids == of.batch.targets);
    CHECK(of.trace.note.find("Computed again on one tape") == 0);
    // Afterwards the model runs on the ops that it was made for.
    CHECK(&of.run.model->rung() == &fused_rung());
  }

  TEST_CASE("step: a traced step of a recurrent model has a name for every value and the token of each time step") {
    for (const char* family : {"lstm", "rnn"}) {
      const Traced of(family, "fused", 2);
      const auto labels = [&](int list) {
        return list < 0 ? std::vector<std::string>{} : of.trace.labels[size_t(list)];
      };
      std::vector<std::string> tokens;
      for (const int32_t id : of.batch.inputs) tokens.emplace_back(of.run.tokenizer.token(id));
      for (int t = 0; t < kContext; ++t) {
        std::vector<std::string> here;
        for (int b = 0; b < kBatch; ++b) here.push_back(tokens[size_t(b * kContext + t)]);
        for (const char* part : {"xw", "a", "h"}) {
          CAPTURE(part);
          CHECK(labels(of.value(text(family, ".0.t.", t, '.', part)).rows) == here);
        }
      }
      CHECK(labels(of.value(text(family, ".0.h")).rows) == tokens);  // a row of it has those of a sequence
      CHECK(labels(of.value("logits").rows) == tokens);
      for (const TraceValue& v : of.trace.values) {
        CHECK_MESSAGE(v.name[0] != '%', v.name);
        if (v.op < 0 || v.name.find(".t.") == std::string::npos) continue;
        CHECK_MESSAGE(v.name.substr(v.name.rfind('.') + 1) != of.trace.ops[size_t(v.op)].kind->name, v.name);
      }
    }
  }
}
