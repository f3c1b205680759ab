#include "tests/fuzz/targets.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "apps/features.h"
#include "apps/tuned_run.h"
#include "engine/error.h"
#include "engine/io/json.h"
#include "tests/sealed.h"

namespace gradus::fuzz {
namespace {

using Words = std::vector<std::string>;

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Standard output goes nowhere while this lives.
class Silence {
 public:
  Silence() : saved_(::dup(STDOUT_FILENO)) {
    std::fflush(stdout);
    const int nothing = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    ::dup2(nothing, STDOUT_FILENO);
    ::close(nothing);
  }
  ~Silence() {
    std::fflush(stdout);
    ::dup2(saved_, STDOUT_FILENO);
    ::close(saved_);
  }
  Silence(const Silence&) = delete;

 private:
  int saved_;
};

// The program may say that the input is bad, or that a model's numbers are not finite.
template <class F>
void in_a_sentence(F f) {
  const Silence silence;
  try {
    f();
  } catch (const DataError&) {
  } catch (const UsageError&) {  // a checkpoint's options do not suit the command's
  } catch (const DivergedError&) {
  }
}

// As a person would type it.
void gradus_command(Words words) {
  words.insert(words.begin(), "gradus");
  words.insert(words.end(), {"--threads", "1", "--quiet"});
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  in_a_sentence([&] { run_command_line(int(argv.size()), argv.data()); });
}

// Standard input holds these bytes while this lives.
class Input {
 public:
  explicit Input(std::string_view bytes) : bytes_(std::string(bytes)), before_(std::cin.rdbuf(bytes_.rdbuf())) {
    std::cin.clear();
  }
  ~Input() { std::cin.rdbuf(before_); }
  Input(const Input&) = delete;

 private:
  std::istringstream bytes_;
  std::streambuf* before_;
};

// A folder in memory where that is possible, with a small model of each kind of text and a place for the input.
class Place {
 public:
  Place() {
    std::string name = std::filesystem::exists("/dev/shm") ? "/dev/shm/gradus_fuzz_XXXXXX" : "/tmp/gradus_fuzz_XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error(name + " cannot be made");
    folder_ = name;
    write("text", "the cat\na dog\nthe dog\na cat\n");
    const Words sizes{"--steps", "1", "--batch", "2", "--context", "8", "--hidden", "4"};
    for (const char* tokenizer : {"char", "byte", "word"}) {
      Words words{"train",   path("text"), "--out",       path(tokenizer), "--lines",
                  "--model", "rnn",        "--tokenizer", tokenizer};
      words.insert(words.end(), sizes.begin(), sizes.end());
      gradus_command(words);
    }
    gradus_command({"tune",       path("word"),   "--out",    path("tuned"), "--reward", "contains:cat", "--steps",
                    "2",          "--stop-after", "1",        "--batch",     "4",        "--max-tokens", "3",
                    "--baseline", "value",        "--replay", "1",           "--exact",  "never"});
  }
  ~Place() { std::filesystem::remove_all(folder_); }
  Place(const Place&) = delete;
  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  std::string write(const std::string& name, std::string_view content) const {
    std::ofstream(path(name), std::ios::binary) << content;
    return path(name);
  }
  std::string read(const std::string& name) const {
    std::ifstream file(path(name), std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }

 private:
  std::string folder_;
};
const Place& place() {
  static const Place here;
  return here;
}

// `tune --resume` up to its first step, which may have any size that the options allow.
void resume_tuning(const std::string& folder) {
  const TuneCommand command = [&] {
    TuneCommand c;
    c.common.quiet = true;
    c.out = folder;
    c.resume = true;
    return c;
  }();
  in_a_sentence([&] {
    Console console(command.common);
    TunedRun run = open_tuned_run(command, console, one_rank());
    const Reward terms(run.config.reward, run.policy.tokenizer);
    NamedFeatures named(run.config.feature, run.config.pointwise, run.policy.tokenizer, run.prompts);
    const RewardFunction reward = text_reward(terms, run.policy.tokenizer, run.prompts);
    Shards shards(int(run.config.shards), 1);
    Tuner tuner(*run.policy.model, *run.prior, run.prompt_tokens, run.world, reward, run.config, shards,
                named.features);
    run.restore(tuner);
  });
}

void use_checkpoint(const std::string& content) {
  const std::string file = sealed(content), path = place().write("checkpoint.safetensors", file);
  gradus_command({"inspect", path});
  gradus_command({"sample", path, "--tokens", "1"});
  static const std::string folder = [] {
    std::filesystem::create_directory(place().path("resumed"));
    return place().path("resumed");
  }();
  place().write("resumed/checkpoint.safetensors", file);
  resume_tuning(folder);
}

void try_checkpoint(std::span<const std::byte> bytes) { use_checkpoint(std::string(as_text(bytes))); }

// A checkpoint of a trained and one of a tuned model.
const std::string& good_file(bool is_tuned) {
  static const std::string trained = place().read("char/checkpoint.safetensors"),
                           tuned = place().read("tuned/checkpoint.safetensors");
  return is_tuned ? tuned : trained;
}

std::string replaced(std::string s, std::string_view from, std::string_view to) {
  for (size_t at = 0; (at = s.find(from, at)) != s.npos; at += to.size()) s.replace(at, from.size(), to);
  return s;
}

// The input as the header of a checkpoint or, where its first line is no JSON, behind that line as the section of that
// name; a @ in it stands for the folder of the models.
void try_metadata(std::span<const std::byte> bytes) {
  const std::string_view input = as_text(bytes);
  const size_t end = std::min(input.find('\n'), input.size());
  for (const bool is_tuned : {false, true}) {
    const std::string& file = good_file(is_tuned);
    if (input.starts_with('{') || end == input.size())
      use_checkpoint(with_json(input, std::string_view(file).substr(8 + header_of(file).size())));
    else
      use_checkpoint(with_header_changed(file, [&](SafetensorsHeader& header) {
        const std::string content(input.substr(end + 1));
        header.metadata[std::string(input.substr(0, end))] = replaced(content, "@", place().path("."));
      }));
  }
}

// What is read is written and read again as the same.
void try_json(std::span<const std::byte> bytes) {
  try {
    const std::string once = Json::parse(as_text(bytes)).dump();
    if (Json::parse(once).dump() != once) throw std::logic_error("JSON changes when it is written and read again");
  } catch (const JsonError&) {
  }
}

void try_corpus(std::span<const std::byte> bytes) {
  const std::string path = place().write("corpus", as_text(bytes));
  for (const char* tokenizer : {"char", "byte", "word"})
    gradus_command({"train", path, "--out", place().path("run"), "--model", "ngram", "--order", "2", "--lines",
                    "--tokenizer", tokenizer});
  gradus_command({"eval", place().path("byte"), path});
  std::filesystem::remove_all(place().path("run"));
}

// Texts to score and prompts to continue, one a line.
void try_lines(std::span<const std::byte> bytes) {
  const std::string path = place().write("lines", as_text(bytes));
  for (const std::string model : {"char", "byte", "word"}) {
    {
      const Input lines(as_text(bytes));
      gradus_command({"score", place().path(model), "--temperature", "0.5"});
    }
    gradus_command({"tune", place().path(model), "--prompts", path, "--out", place().path("run"), "--reward", "end",
                    "--steps", "1", "--batch", "2", "--max-tokens", "2", "--exact", "never"});
    std::filesystem::remove_all(place().path("run"));
  }
}

void try_grammar(std::span<const std::byte> bytes) {
  const std::string path = place().write("grammar", as_text(bytes));
  gradus_command({"corpus", path, "--bytes", "200"});
}

void try_reward(std::span<const std::byte> bytes) {
  const std::string path = place().write("reward", as_text(bytes));
  for (const char* name : {"table:", "lexicon:", "blocklist:", "grammar:"})
    gradus_command({"exact", "posterior", place().path("word"), "--max-tokens", "3", "--reward", name + path});
}

void try_kl(std::span<const std::byte> bytes) {
  const std::string path = place().write("tables.json", as_text(bytes));
  gradus_command({"kl", path});
  gradus_command({"kl", path, "--json"});
}

void try_log(std::span<const std::byte> bytes) {
  std::filesystem::create_directory(place().path("logged"));
  place().write("logged/log.jsonl", as_text(bytes));
  gradus_command({"report", place().path("logged")});
}

}  // namespace

std::span<const Target> targets() {
  static constexpr Target all[] = {{"checkpoint", try_checkpoint},
                                   {"metadata", try_metadata},
                                   {"json", try_json},
                                   {"corpus", try_corpus},
                                   {"lines", try_lines},
                                   {"grammar", try_grammar},
                                   {"reward", try_reward},
                                   {"kl", try_kl},
                                   {"log", try_log}};
  return all;
}

void write_sections(const std::string& folder) {
  for (const bool is_tuned : {false, true}) {
    const std::string& file = good_file(is_tuned);
    const std::string_view json = header_of(file);
    for (const auto& [name, content] : parse_header("", json, file.size() - 8 - json.size()).metadata)
      std::ofstream(folder + (is_tuned ? "/tuned-" : "/trained-") + name, std::ios::binary)
          << name << '\n'
          << replaced(content, place().path(""), "@/");
  }
}

}  // namespace gradus::fuzz
