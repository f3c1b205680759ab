// What the questions of gradus exact share.
#pragma once

#include "apps/commands.h"
#include "engine/io/json.h"
#include "models/run/checkpoint.h"
#include "rl/worlds/exact.h"

namespace gradus {

World world_of(const ExactCommand& command, const Checkpoint& run);
// DataError where the world is too large to list, or for the memory.
Enumeration enumerate_models(std::span<const LanguageModel* const> models, const World& world);
Enumeration enumerate_one(const Checkpoint& run, const World& world);
Enumeration enumerate_both(const Checkpoint& a, const Checkpoint& b, const World& world);
int print_json(const Json& json);
// Of sequences that all begin from the one prompt.
std::string text_of(const Checkpoint& run, const Sequences& sequences, int64_t i);
std::vector<double> rewards_of(const Sequences& sequences, const RewardFunction& reward);

}  // namespace gradus
