// The table of methods: the only file that names them all.
#include "models/table.h"
#include "rl/methods/method.h"
#include "rl/tune_values.h"

namespace gradus {

// Each is made in the file of its name.
using Make = std::unique_ptr<Method>(const TuneConfig&, const MethodModels&);
Make make_reinforce, make_f_dpg, make_grpo, make_ppo, make_actor_critic, make_q, make_soft_q, make_dqn, make_dpo;

namespace {

struct Row {
  const char* name;
  const char* help;
  Make* make;
};
constexpr Row kMethods[] = {
    {.name = "reinforce", .help = "the return above a baseline", .make = make_reinforce},
    {.name = "f-dpg", .help = "-f'(policy/target) of an f-divergence to a target", .make = make_f_dpg},
    {.name = "grpo", .help = "the return compared with its group's, clipped", .make = make_grpo},
    {.name = "ppo", .help = "advantages of a critic, clipped", .make = make_ppo},
    {.name = "actor-critic", .help = "the temporal-difference error of a critic", .make = make_actor_critic},
    {.name = "q", .help = "action values in a table", .make = make_q},
    {.name = "soft-q", .help = "soft action values: the posterior, token by token", .make = make_soft_q},
    {.name = "dqn", .help = "action values in a network, with a target network", .make = make_dqn},
    {.name = "dpo", .help = "choices between two texts, without a reward", .make = make_dpo},
};

}  // namespace

std::unique_ptr<Method> make_method(const TuneConfig& options, const MethodModels& models) {
  return row_named(kMethods, options.algorithm, "algorithm").make(options, models);
}
std::vector<std::string> method_names() { return names_of(kMethods); }

}  // namespace gradus
