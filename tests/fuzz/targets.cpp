#include "tests/fuzz/targets.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "apps/commands.h"
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

// As a person would type it. The program may say that the input is bad, or that a model's numbers are not finite.
void gradus_command(Words words) {
  words.insert(words.begin(), "gradus");
  words.insert(words.end(), {"--threads", "1", "--quiet"});
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  const Silence silence;
  try {
    run_command_line(int(argv.size()), argv.data());
  } catch (const DataError&) {
  } catch (const UsageError&) {  // a checkpoint's options do not suit the command's
  } catch (const DivergedError&) {
  }
}

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
  }
  ~Place() { std::filesystem::remove_all(folder_); }
  Place(const Place&) = delete;
  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  std::string write(const std::string& name, std::string_view content) const {
    std::ofstream(path(name), std::ios::binary) << content;
    return path(name);
  }

 private:
  std::string folder_;
};
const Place& place() {
  static const Place here;
  return here;
}

void use_checkpoint(const std::string& content) {
  const std::string path = place().write("checkpoint.safetensors", sealed(content));
  gradus_command({"inspect", path});
  gradus_command({"sample", path, "--tokens", "1"});
}

void try_checkpoint(std::span<const std::byte> bytes) { use_checkpoint(std::string(as_text(bytes))); }

// The input as the header of a small model's checkpoint.
void try_metadata(std::span<const std::byte> bytes) {
  static const std::string data = [] {
    std::ifstream file(place().path("char/checkpoint.safetensors"), std::ios::binary);
    const std::string all(std::istreambuf_iterator<char>(file), {});
    return all.substr(8 + header_of(all).size());
  }();
  use_checkpoint(with_json(as_text(bytes), data));
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
  static constexpr Target all[] = {
      {"checkpoint", try_checkpoint}, {"metadata", try_metadata}, {"json", try_json}, {"corpus", try_corpus},
      {"grammar", try_grammar},       {"reward", try_reward},     {"kl", try_kl},     {"log", try_log}};
  return all;
}

}  // namespace gradus::fuzz
