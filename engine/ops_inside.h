// What heavy ops work out on the way to their output and keep for their backward pass, for people who look into a
// model. Each function copies it out of one recorded op; of another op it returns nothing.
#pragma once

#include <string>
#include <vector>

#include "engine/tape.h"

namespace gradus {

// Numbers of one sequence: row t is what was worked out at token t.
struct Inside {
  std::string name;             // "head 0", "i", "f", "g", "o", "c", "h"
  bool weights = false;         // of attention: row t has a weight for each token that it sees, the others are 0
  int64_t columns = 0;          // T of weights, else the units H
  std::vector<double> numbers;  // [T, columns]
};

// attention, causal or not: the weights P of each head.
std::vector<Inside> inside_of_attention(const Op& op, int64_t sequence);
// lstm_sequence: the gates i f g o after their nonlinearities, the cells c and the output h.
std::vector<Inside> inside_of_lstm(const Op& op, int64_t sequence);
// rnn_sequence: the output h.
std::vector<Inside> inside_of_rnn(const Op& op, int64_t sequence);
// columns: the first of them; -1 of another op.
int64_t first_column(const Op& op);
// Whichever of the first three knows the op.
std::vector<Inside> inside(const Op& op, int64_t sequence = 0);

}  // namespace gradus
