// Given: an autodiff of single numbers in forty lines. A graph is a list of nodes in the order in which they were made.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <vector>

namespace gradus::lesson {

struct Node {
  char op;          // '+', '*', or 'x' for a number that was put in
  int left, right;  // the places of its inputs in the list; -1 for 'x'
  double value;
  double grad = 0;
};

struct Graph {
  std::vector<Node> nodes;
  int64_t passed = 0;  // how often pass_back ran

  int number(double value) { return append({'x', -1, -1, value}); }
  int add(int a, int b) { return append({'+', a, b, nodes[size_t(a)].value + nodes[size_t(b)].value}); }
  int multiply(int a, int b) { return append({'*', a, b, nodes[size_t(a)].value * nodes[size_t(b)].value}); }

  // The product rule and the sum rule: node i adds to the gradients of its two inputs what its own gradient, as it is
  // *now*, is worth to them.
  void pass_back(int i) {
    if (++passed > 4 * int64_t(nodes.size()))
      throw std::logic_error("pass_back runs more than four times for each node");
    const Node& n = nodes[size_t(i)];
    if (n.op == 'x') return;
    Node &l = nodes[size_t(n.left)], &r = nodes[size_t(n.right)];
    const double to_left = n.op == '*' ? r.value * n.grad : n.grad, to_right = n.op == '*' ? l.value * n.grad : n.grad;
    l.grad += to_left;
    r.grad += to_right;
  }

 private:
  int append(const Node& n) {
    nodes.push_back(n);
    return int(nodes.size()) - 1;
  }
};

void backward(Graph& graph, int loss);

}  // namespace gradus::lesson
