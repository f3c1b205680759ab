#include "models/run/config.h"

#include <algorithm>

#include "engine/error.h"
#include "models/families.h"
#include "models/posterior/posteriors.h"

namespace gradus {

const Family& Config::family() const { return family_of(model); }
CorpusOptions Config::corpus() const {
  return {.lines = lines,
          .pairs = pairs,
          .context = context,
          .val_fraction = val_fraction,
          .whole_lines = counts(),
          .random_lines = row_named(kValLines, val_lines, "val_lines").value};
}
bool Config::counts() const { return family().counted(); }
bool Config::samples() const { return posterior_of(*this) && posterior_of(*this)->advance; }

void Config::resolve(int cores) {
  if (layers == 0) layers = family().layers;
  lines |= pairs || family().has("latent");  // a latent vector is one of a line
  if (val_fraction < 0) val_fraction = counts() ? 0 : 0.1;
  if (counts()) steps = 0;  // one look at the text is all
  if (posterior_of(*this) && posterior_of(*this)->own_step)
    min_lr = std::min(min_lr, lr);  // where it has no meaning it cannot be too high
  RunOptions::resolve(cores, batch);
  check();
  resolve_steps();
}

// With --steps 0 the burn-in stays unknown until the run goes on and has steps.
void Config::resolve_steps() {
  if (!posterior_of(*this)) return;
  if (posterior_of(*this)->own_step && lr <= 0)
    throw DataError(text("--lr ", lr, ": the step size of a trajectory must be above 0"));
  if (burn_in == 0 && samples()) burn_in = steps / 2;
  if (dropout > 0 && family().has("dropout"))
    throw DataError(text("--posterior ", posterior, ": --dropout ", dropout,
                         " makes the likelihood of the same parameters another one each time; leave it out"));
  if (samples() && steps > 0 && steps - burn_in < draws / chains)
    throw DataError(text("--burn-in ", burn_in, ": leaves ", std::max<int64_t>(0, steps - burn_in), " of --steps ",
                         steps, ", and each of --chains ", chains, " keeps ", draws / chains,
                         " draws; use more --steps or fewer --draws"));
}

void Config::check() const {
  if (layers < 1) throw DataError(text("--layers ", layers, ": a model has at least one layer"));
  RunOptions::check(batch);
  if (pairs && !lines) throw DataError("--pairs without lines: a pair is a line");
  if (!find_cutter(tokenizer).keeps_white && !lines)
    throw DataError(text("--tokenizer ", tokenizer, " needs --lines or --pairs: ", find_cutter(tokenizer).unit,
                         "s do not say where a line ends"));
  if (family().check) family().check(*this);
  if (adapter != kNoAdapter) Adapter::parse(adapter);
  if (posterior_of(*this)) {
    const std::string what = text("--posterior ", posterior, ": ");
    if (counts()) throw DataError(text(what, "that of counts is known in closed form; see gradus bayes"));
    if (!family().predicts_next()) throw DataError(text(what, family().title, " says nothing of what follows a text"));
    if (labels > 0) throw DataError(text(what, "a classifier has none"));
    if (adapter != kNoAdapter) throw DataError(text(what, "it is one of all parameters, and --adapter trains a few"));
  }
  PosteriorOptions::check();
}

// The row of an option of models: it belongs to the families that list it. Help names them, unless it is all that are
// trained in steps.
static Option own(Option row) {
  row.owners = {"model", families_with(row.name)};
  if (row.owners.words != stepped_families()) row.help += " (" + joined(row.owners.words) + ")";
  return row;
}

std::vector<Option> options(Config& c) {
  const Owners stepped{"model", stepped_families()};
  const std::vector<Option> shared = run_options(c, c.seed, stepped);
  const Owners sampled{"posterior", posteriors_with_chains()};
  const auto but_for = [](const std::vector<std::string>& left_out) {
    Owners rest{"posterior", posterior_names()};
    std::erase_if(rest.words, [&](const std::string& word) { return std::ranges::count(left_out, word) > 0; });
    return rest;
  };
  // A chain has no optimiser, and a posterior no decay: its prior is what keeps parameters small.
  const Owners optimised = but_for(posteriors_with_chains()), decays{"posterior", {kNoPosterior}};
  const Owners scheduled = but_for(posteriors_with_own_step());
  const Owners bayesian = but_for({kNoPosterior});
  const Config usual;
  return {
      option("model", c.model, names_of(families()), "family of the model"),
      option("tokenizer", c.tokenizer, cutter_names(), "what a token is; word needs --lines or --pairs"),
      option("lines", c.lines, usual.lines,
             "each line is a sequence, with a mark at its end (--pairs and --model vae imply it)"),
      newer(option("pairs", c.pairs, usual.pairs,
                   "each line is a prompt, a tab and the reply to it; the loss is on the reply")),
      own(option("layers", c.layers, 0, 1000, "layers (default 4; recurrent families 1)")),
      own(option("heads", c.heads, 1, 1000, "attention heads")),
      own(option("embd", c.embd, 1, 1 << 20, "width of the embedding, and of the transformer")),
      own(option("hidden", c.hidden, 1, 1 << 20, "width of the state or hidden layer")),
      own(option("memory", c.memory, 0, 1 << 20,
                 "initialise forget gates for memories of 2 to N tokens; 0: forget bias 1")),
      option("context", c.context, 1, 1 << 20, "tokens that the model sees at once"),
      own(option("dropout", c.dropout, 0, 0.99, "fraction of activations dropped while training")),
      own(option("bias", c.bias, usual.bias, "leave out the biases")),
      own(option("order", c.order, 1, 100, "n-gram order: the model sees the last order - 1 tokens")),
      own(option("smoothing", c.smoothing, names_of(kSmoothings),
                 "n-gram smoothing: none, --alpha added to every count (the Bayesian predictive under "
                 "dirichlet:ALPHA, see gradus bayes), or interpolated Kneser-Ney")),
      narrowed(own(option("alpha", c.alpha, 1e-9, 1e9, "number that --smoothing add adds to every count")),
               {"smoothing", {"add"}}),
      newer(own(option("mask_rate", c.mask_rate, 1e-6, 1,
                       "of each text one token is masked, and each other with this probability"))),
      newer(own(option("latent", c.latent, 1, 1 << 16, "numbers of the latent vector of a text"))),
      newer(own(option("kl_anneal", c.kl_anneal, 0, kMany,
                       "steps in which the weight of the KL in the ELBO rises from 0 to 1"))),
      newer(own(option("word_dropout", c.word_dropout, 0, 1,
                       "fraction of the input tokens that the decoder is not shown while training"))),
      newer(own(option("importance", c.importance, 1, kMostImportance,
                       "latent vectors drawn for the importance-weighted log p of a text"))),
      adapter_option(c.adapter),
      newer(option("posterior", c.posterior, posterior_names(),
                   "learn a posterior over the parameters, over which all that reads the run then averages: by a "
                   "variational guide, or by chains")),
      newer(option("prior_scale", c.prior_scale, 1e-6, 1e6,
                   "standard deviation of the prior of every parameter, which is normal with mean 0", bayesian)),
      newer(option("draws", c.draws, 1, 1 << 16, "draws of the parameters that are averaged over", bayesian)),
      newer(option("chains", c.chains, 1, 16, "chains that sample side by side", sampled)),
      newer(option("burn_in", c.burn_in, 0, kMany,
                   "first steps of a chain that are not kept (default: half of the first --steps)", sampled)),
      newer(option("leapfrog", c.leapfrog, 1, 1 << 20, "steps of a trajectory", {"posterior", {"hmc"}})),
      option("batch", c.batch, 1, 1 << 20, "sequences in a batch", stepped),
      row_of(shared, "steps"),
      newer(narrowed(option("optimizer", c.optimizer, names_of(kOptimizers),
                            "adamw, or muon for the matrices between hidden layers and AdamW for the rest; with muon, "
                            "try --lr 1e-2",
                            stepped),
                     optimised)),
      row_of(shared, "lr"),
      narrowed(row_of(shared, "min_lr"), scheduled),
      narrowed(row_of(shared, "warmup"), optimised),
      narrowed(row_of(shared, "decay_steps"), scheduled),
      narrowed(option("beta1", c.beta1, 0, 0.999999, "AdamW: decay rate of the first moment", stepped), optimised),
      narrowed(option("beta2", c.beta2, 0, 0.999999, "AdamW: decay rate of the second moment", stepped), optimised),
      narrowed(option("weight_decay", c.weight_decay, 0, 1e3, "AdamW: weight decay, for tensors of rank >= 2", stepped),
               decays),
      narrowed(row_of(shared, "clip"), optimised),
      option("val_fraction", c.val_fraction, 0, 0.9,
             "fraction of the text kept for validation: its end, or with --lines some lines "
             "(default 0.1; counted families 0)"),
      newer(option("val_lines", c.val_lines, names_of(kValLines),
                   "with --lines, the lines kept for validation: drawn at random, the same for every --seed, or the "
                   "last ones",
                   {"lines"})),
      option("eval_every", c.eval_every, 0, kMany, "steps between evaluations; 0: only at the end", stepped),
      option("eval_batches", c.eval_batches, 1, 1 << 20, "random batches in each intermediate evaluation", stepped),
      row_of(shared, "save_every"),
      row_of(shared, "shards"),
      option("ops", c.ops, names_of(kOps), "fused kernels, or composed from primitive ops", stepped),
      row_of(shared, "seed"),
  };
}

std::vector<Option> classify_options(Config& c) {
  std::vector<Option> rows{
      option("encoder", c.encoder, encoders(),
             "network that reads a text: to both sides (transformer), or from its start"),
      option("pool", c.pool, names_of(kPoolings), "what is known of a text: the state at its end, or the mean of all")};
  for (Option& row : options(c)) {
    if (row.name == "model" || row.name == "lines" || row.name == "pairs" || row.name == "mask_rate") continue;
    if (row.name == "posterior" || row.owners.option == "posterior") continue;
    if (row.owners_too.option == "posterior") row.owners_too = {};
    if (row.name == "tokenizer") row.help = "what a token is";
    if (row.owners.option == "lines") row.owners = {};
    if (row.owners.option == "model") {
      std::vector<std::string> known;
      for (const std::string& encoder : encoders())
        if (std::ranges::count(row.owners.words, encoder_of(encoder).name) > 0) known.push_back(encoder);
      row.owners = {"encoder", known};
    }
    if (row.owners.option.empty() || !row.owners.words.empty()) rows.push_back(std::move(row));
  }
  return rows;
}

// With lines a file says which id is the end mark; of a classifier, how many labels it has.
static std::vector<Option> stored_options(Config& c) {
  std::vector<Option> rows = options(c);
  rows.push_back(newer(option("end_id", c.end_id, 0, INT32_MAX, "id of the end mark")));
  rows.push_back(newer(option("labels", c.labels, 2, kMostLabels, "labels that a classifier tells apart")));
  rows.push_back(newer(row_of(classify_options(c), "pool")));
  return rows;
}

// Files from before there was a choice lack the option, and their last lines validate. So do files to which it means
// nothing.
static constexpr const char* kLast = "last";
static bool draws_lines(const Config& config) { return config.lines && config.val_fraction != 0; }

std::string to_json(const Config& config) {
  Config stored = config, usual;
  if (!stored.lines) stored.end_id = usual.end_id;
  usual.val_lines = kLast;
  if (!draws_lines(stored)) stored.val_lines = kLast;
  return options_to_json(stored_options(stored), stored_options(usual));
}

Config config_from_json(const std::string& json, const std::string& source) {
  Config config;
  config.val_lines = kLast;
  options_from_json(stored_options(config), json, source);
  if (!draws_lines(config)) config.val_lines = Config().val_lines;
  if (config.lines != (config.end_id >= 0))
    throw DataError(text(source, ": the configuration ", config.lines ? "lacks" : "has no use for", " 'end_id'"));
  if (config.labels > 0 && !config.lines)
    throw DataError(text(source, ": the configuration has 'labels', but its texts are not lines"));
  return config;
}

}  // namespace gradus
