// An Insight as JSON and as a page for the browser, which shows the same numbers and loads nothing from elsewhere.
#pragma once

#include <string>
#include <vector>

#include "apps/look/insight.h"
#include "engine/io/json.h"

namespace gradus {

// {"run","model","unit","vocabulary","left_out","nats_per_token","parts":[{"layer","name","weights","units"}],
//  "inputs":[[texts]],                       of each sequence
//  "tokens":[{"text","token","sequence","at","first","log_prob","rank","candidates":[{"text","probability"}],
//             "parts":[[numbers]]}],         of attention the weights of inputs first .. at
//  "embeddings":{"share":[2],"tokens":[{"text","x","y"}]},
//  "training":[{"step","layers":[{"name","grad_norm","update_ratio"}]}]}
// `name` is that of the run, as it was typed. Numbers of parts, probabilities and coordinates have five significant
// digits with `short_numbers`.
Json to_json(const std::string& name, const Checkpoint& run, const Insight& insight, const std::vector<Json>& training,
             bool short_numbers);

std::string look_page(const std::string& name, const Checkpoint& run, const Insight& insight,
                      const std::vector<Json>& training);

}  // namespace gradus
