// The reward `command:PROGRAM`: a program that answers as it should, in every size of batch, and every way in which one
// can fail us. The programs are lines of sh, which reads and writes line by line (mawk would wait for a full block).
#include "rl/rewards/command.h"

#include <doctest/doctest.h>
#include <sys/wait.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <thread>

#include "rl/rewards/reward.h"
#include "tests/scratch.h"

namespace {

using namespace gradus;
using Strings = std::vector<std::string>;
using std::chrono::milliseconds;

constexpr const char* kLengths = "while IFS= read -r line; do echo ${#line}; done";  // of what stands in the line

std::vector<Generated> batch_of(const Strings& texts) {
  std::vector<Generated> batch;
  for (const std::string& text : texts) batch.push_back({text, {}});
  return batch;
}
std::vector<double> ask(RewardCommand& command, const Strings& texts) {
  std::vector<double> scores(texts.size());
  command.score(batch_of(texts), scores);
  return scores;
}
// What is said of a program that fails over these texts; and again when it is asked again.
std::string failure(const std::string& program, const Strings& texts, milliseconds silence = milliseconds(2000)) {
  RewardCommand command(program, silence);
  const auto once = [&] { return complaint<DataError>([&] { ask(command, texts); }); };
  const std::string first = once();
  if (!first.empty()) CHECK(once() == first);
  if (!first.empty()) CHECK(has(first, program));
  return first;
}
bool no_children() { return waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD; }

// Until `done`, at most two seconds.
template <class F>
bool within_two_seconds(F done) {
  for (int i = 0; i < 400 && !done(); ++i) std::this_thread::sleep_for(milliseconds(5));
  return done();
}

}  // namespace

TEST_SUITE_BEGIN("reward_command");

TEST_CASE("one number for each text, over many calls, from one process") {
  const Folder folder;
  {
    RewardCommand command("echo started >> " + (folder.path / "log").string() + "; " + kLengths);
    CHECK(ask(command, {"a", "", "abc"}) == std::vector<double>{1, 0, 3});
    CHECK(ask(command, {}).empty());
    for (size_t n = 0; n < 50; ++n) CHECK(ask(command, {std::string(n, 'x')}) == std::vector<double>{double(n)});
  }
  CHECK(std::filesystem::file_size(folder.path / "log") == std::string("started\n").size());
  CHECK(no_children());
}

TEST_CASE("a text is one line whatever it holds, and can be read back") {
  const Folder folder;
  const std::string seen = folder.path / "seen";
  {
    RewardCommand command("while IFS= read -r line; do printf '%s\\n' \"$line\" >> " + seen + "; echo 1; done");
    ask(command, {"a\nb", "back\\slash \\n", "\r\n", std::string("z\0z", 3), "\xE7\x8C\xAB\xE3\x80\x82", "  two  "});
  }
  std::ifstream in(seen);
  const std::string lines((std::istreambuf_iterator<char>(in)), {});
  CHECK(lines == "a\\nb\nback\\\\slash \\\\n\n\\r\\n\nz\\0z\n\xE7\x8C\xAB\xE3\x80\x82\n  two  \n");
}

TEST_CASE("of a reply the prompt is shown before a tab, and tabs in either are written; other texts stay as they are") {
  const Folder folder;
  const std::string seen = folder.path / "seen";
  {
    RewardCommand command("while IFS= read -r line; do printf '%s\\n' \"$line\" >> " + seen + "; echo 1; done");
    const std::vector<Generated> batch{{.text = "a\tb\n", .tokens = {}, .prompt = "p\tq\\", .is_reply = true},
                                       {.text = "", .tokens = {}, .prompt = "p", .is_reply = true},
                                       {.text = "a\tb", .tokens = {}, .prompt = "p"}};
    std::vector<double> scores(batch.size());
    command.score(batch, scores);
  }
  std::ifstream in(seen);
  const std::string lines((std::istreambuf_iterator<char>(in)), {});
  CHECK(lines == "p\\tq\\\\\ta\\tb\\n\np\t\na\tb\n");
}

TEST_CASE("numbers in every form that is finite") {
  RewardCommand command("cat");
  CHECK(ask(command, {"1", "-2.5", "+3", "1e-3", " 4 ", "5\t", ".5"}) ==
        std::vector<double>{1, -2.5, 3, 1e-3, 4, 5, .5});
}

TEST_CASE("batches far larger than a pipe do not lock up, answered at once, all at the end, or slowly") {
  Strings texts;  // numbers, so that `cat` gives the answers
  std::vector<double> wanted;
  size_t bytes = 0;
  for (size_t i = 0; i < 20'000; ++i) {
    texts.push_back(std::to_string(i) + std::string(i % 97, ' '));  // about 1 MB
    wanted.push_back(double(i));
    bytes += texts[i].size() + 1;
  }
  RewardCommand eager("cat");
  CHECK(ask(eager, texts) == wanted);
  CHECK(ask(eager, texts) == wanted);
  RewardCommand late(text("all=$(head -c ", bytes, "); echo \"$all\"; cat"));
  CHECK(ask(late, texts) == wanted);
  // More output than a pipe holds, written before the input is read on.
  const Strings few(texts.begin(), texts.begin() + 2000);
  RewardCommand wide("while read -r n; do printf '%2000d\\n' \"$n\"; done");
  CHECK(ask(wide, few) == std::vector<double>(wanted.begin(), wanted.begin() + 2000));
  // In silence only between bytes: eight numbers take longer than a silence may.
  RewardCommand slow("while read -r line; do sleep 0.1; echo 7; done", milliseconds(400));
  CHECK(ask(slow, Strings(8, "x")) == std::vector<double>(8, 7));
}

TEST_CASE("what is no finite number is refused with the text that it was for") {
  for (const char* line : {"", "x", "nan", "-nan", "inf", "-inf", "1e999", "1 2", "1,5", "0x10", "1.0x", "--1"}) {
    CAPTURE(line);
    const std::string said =
        failure("read -r a; echo 1; read -r a; echo '" + std::string(line) + "'; cat", {"one", "the cat"});
    CHECK(has(said, "for the text \"the cat\""));
    CHECK(has(said, text("\"", line, "\"")));
    CHECK(has(said, "it must write a finite number"));
  }
  CHECK(has(failure("head -c 100000 /dev/zero | tr '\\0' 1; sleep 9", {"x"}), "where one number a line was expected"));
}

TEST_CASE("a wrong count is found out") {
  CHECK(has(failure("read -r a; printf '1\\n2\\n'; sleep 9", {"x"}), "\"2\""));
  CHECK(has(failure("read -r a; printf '1\\n2'; sleep 9", {"x"}), "\"2\" where nothing more was expected"));
  CHECK(has(failure("while read -r a; do echo 1; echo 2; done", {"x", "y", "z"}), "without having been given a text"));
  CHECK(has(failure("echo ready; cat; sleep 9", {"x"}), "\"ready\""));
  // Too many, but late: the next call finds out. So does a piece of a number, which must not join the next one.
  for (const char* extra : {"2\\n", "2"}) {
    RewardCommand command(text("read -r a; echo 1; sleep 0.1; printf '", extra, "'; cat >/dev/null"),
                          milliseconds(2000));
    CHECK(ask(command, {"x"}) == std::vector<double>{1});
    std::this_thread::sleep_for(milliseconds(400));
    CHECK(has(complaint<DataError>([&] { ask(command, {"y"}); }), "\"2\""));
  }
  // Too few: it ends, or it waits.
  CHECK(has(failure("head -n 1 | tr -c '\\n' 1", {"x", "y"}), "ended (exit status 0) after 1 of 2 numbers"));
  CHECK(has(failure("read -r a; echo 1; cat >/dev/null", {"x", "y"}, milliseconds(200)), "after 1 of 2 numbers"));
}

TEST_CASE("its death is told with how it died") {
  CHECK(has(failure("exit 3", {"x"}), "ended (exit status 3) after 0 of 1 numbers"));
  CHECK(has(complaint<DataError>([] { RewardCommand("/nowhere/program --fast"); }), "no program /nowhere/program"));
  CHECK(has(failure("read -r a; echo 1; kill -SEGV $$", {"x", "y"}), "signal 11"));
  CHECK(has(failure("exec >&-; sleep 9", {"x"}), "ended (killed)"));  // closed its output and lives on
  // Dead between two calls, and before it has read a large batch: no SIGPIPE reaches us (it would end the tests).
  RewardCommand command("read -r a; echo 1", milliseconds(2000));
  CHECK(ask(command, {"x"}) == std::vector<double>{1});
  std::this_thread::sleep_for(milliseconds(200));
  CHECK(has(complaint<DataError>([&] { ask(command, {"y"}); }), "ended (exit status 0) after 0 of 1 numbers"));
  CHECK(has(failure("exit 0", Strings(5000, std::string(100, 'x'))), "after 0 of 5000 numbers"));
  CHECK(has(failure("exec <&-; sleep 9", Strings(5000, std::string(100, 'x')), milliseconds(200)), "wrote nothing"));
  CHECK(no_children());
}

TEST_CASE("silence stops it, and what it has started") {
  const Folder folder;
  const std::string pid_file = folder.path / "pid";
  const auto begin = std::chrono::steady_clock::now();
  const std::string said = failure("sleep 60 & echo $! > " + pid_file + "; wait; cat", {"x", "y"}, milliseconds(300));
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(20));
  CHECK(has(said, "wrote nothing for 0.3 s, after 0 of 2 numbers"));
  CHECK(has(said, "does it flush"));
  pid_t sleeper = 0;
  std::ifstream(pid_file) >> sleeper;
  REQUIRE(sleeper > 1);
  // Dead; or a zombie that its new parent has not taken yet.
  CHECK(within_two_seconds([&] {
    std::ifstream stat("/proc/" + std::to_string(sleeper) + "/stat");
    std::string number, name, state;
    return !(stat >> number >> name >> state) || state == "Z";
  }));
  CHECK(no_children());
}

TEST_CASE("a program that does not mind the end of its input is gone with its reward") {
  const auto begin = std::chrono::steady_clock::now();
  { RewardCommand command("trap '' TERM INT HUP; while :; do sleep 60; done"); }
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(20));
  CHECK(no_children());
}

TEST_CASE("SIGPIPE stays as it was, and one that waits for us is not taken") {
  sigset_t pipe, before, pending;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, &before);
  pthread_kill(pthread_self(), SIGPIPE);
  failure("exec <&-; sleep 9", Strings(5000, std::string(100, 'x')), milliseconds(200));
  sigpending(&pending);
  CHECK(sigismember(&pending, SIGPIPE));
  const timespec at_once{};
  CHECK(sigtimedwait(&pipe, nullptr, &at_once) == SIGPIPE);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST_CASE("a program does not hold the pipes of another one open") {
  auto first = std::make_unique<RewardCommand>("cat");
  RewardCommand second("cat");
  CHECK(ask(second, {"1"}) == std::vector<double>{1});
  const auto begin = std::chrono::steady_clock::now();
  first.reset();  // its input ends, so that nobody has to wait and kill
  CHECK(std::chrono::steady_clock::now() - begin < milliseconds(800));
}

TEST_CASE("threads take turns") {
  RewardCommand command(kLengths);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i)
        if (ask(command, Strings(t + 1, std::string(t, 'x'))) != std::vector<double>(t + 1, double(t))) ++wrong;
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

TEST_CASE("as a reward by name, weighted; copies share the process") {
  const Tokenizer tokenizer = Tokenizer::from_text("char", "abc");
  const Reward reward({std::string("0.5*command:") + kLengths, "contains:b"}, tokenizer);
  const Reward copy = reward;
  const Strings texts{"abc", "c"};
  const std::vector<Generated> batch = batch_of(texts);
  CHECK(reward.score(batch) == std::vector<double>{2.5, 0.5});
  CHECK(copy.score(batch) == std::vector<double>{2.5, 0.5});
  CHECK(has(complaint<UsageError>([&] { Reward({"command:"}, tokenizer); }), "needs an argument: command:PROGRAM"));
}

TEST_SUITE_END();
