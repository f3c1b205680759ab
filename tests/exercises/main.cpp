// The main program of every exercise: doctest's, and a sentence where the function that is being written crashes. Like
// a failure, it names the test case and asks.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#define DOCTEST_CONFIG_NO_POSIX_SIGNALS
#include <doctest/doctest.h>

#include <pthread.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstring>

namespace {

const doctest::TestCaseData* running = nullptr;

struct Watch : doctest::IReporter {
  explicit Watch(const doctest::ContextOptions&) {}
  void test_case_start(const doctest::TestCaseData& test) override { running = &test; }
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_end(const doctest::CurrentTestCaseStats&) override { running = nullptr; }
  void test_case_exception(const doctest::TestCaseException&) override {}
  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}
};
REGISTER_LISTENER("watch", 1, Watch);

// Whether the address stands in the guard page below the stack, or just above it.
bool below_the_stack(const void* address) {
  pthread_attr_t attributes;
  void* low = nullptr;
  size_t size = 0;
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) return false;
  pthread_attr_getstack(&attributes, &low, &size);
  pthread_attr_destroy(&attributes);
  const auto *at = static_cast<const char*>(address), *bottom = static_cast<const char*>(low);
  return at >= bottom - (1 << 20) && at < bottom + (1 << 16);
}

void crashed(int signal, siginfo_t* info, void*) {
  const char *what = "used memory that is not its own", *question = "which index goes beyond the end of its array?";
  if (signal == SIGFPE) {
    what = "divided an integer by 0", question = "what is the divisor when there is nothing to count?";
  } else if (signal == SIGABRT) {
    what = "stopped the program (abort)", question = "what does the sentence above say?";
  } else if (info->si_code != SI_KERNEL && reinterpret_cast<uintptr_t>(info->si_addr) < 1 << 16) {  // else no address
    what = "used a null pointer", question = "which pointer may be null here, and what does exercise.cpp say of it?";
  } else if (below_the_stack(info->si_addr)) {
    what = "ran out of stack", question = "how deep does your function call itself here?";
  }
  char message[1024];
  const int n =
      std::snprintf(message, sizeof message, "%s:%u: ERROR: in the test \"%s\" your function %s.\n  Question: %s\n",
                    running ? running->m_file.c_str() : "before the tests", running ? running->m_line : 0,
                    running ? running->m_name : "", what, question);
  if (n > 0 && ::write(STDOUT_FILENO, message, std::strlen(message)) < 0) _exit(2);
  _exit(1);
}

// Before the first test. The handler has a stack of its own: the usual one may be what ran out.
const bool installed = [] {
  static char own[1 << 16];
  stack_t stack{};
  stack.ss_sp = own;
  stack.ss_size = sizeof own;
  ::sigaltstack(&stack, nullptr);
  struct sigaction action {};
  action.sa_sigaction = crashed;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGABRT}) ::sigaction(signal, &action, nullptr);
  return true;
}();

}  // namespace
