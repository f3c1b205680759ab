// Single ops against numbers from PyTorch and plain Python (tests/goldens/ops.safetensors), fused and composed.
#include <doctest/doctest.h>

#include <vector>

#include "engine/composed.h"
#include "engine/rung.h"
#include "tests/golden.h"

namespace {

using namespace gradus;
using testing::Golden;

constexpr double kClose = kDouble ? 5e-15 : 2e-6;  // the bounds of README.md are 1e-10 and 1e-5

struct OnTape {
  Tape tape;
  Tape::Use use{tape};
};

Shape shape_of(const Golden& golden, const std::string& name) {
  const std::vector<int64_t>& s = golden.file().at(name).shape;
  return s.empty() ? Shape{} : s.size() == 1 ? Shape{s[0]} : Shape{s[0], s[1]};
}
Tensor leaf(const Golden& golden, const std::string& name) {
  return variable("golden", shape_of(golden, name), golden.reals(name));
}

}  // namespace

TEST_SUITE("goldens") {
  TEST_CASE("goldens: both forms of gelu and their derivatives") {
    const Golden golden("ops");
    for (const auto& [form, op] : {std::pair{"gelu/tanh", static_cast<Tensor (*)(const Tensor&, Loc)>(gelu)},
                                   std::pair{"gelu/erf", static_cast<Tensor (*)(const Tensor&, Loc)>(gelu_erf)}}) {
      OnTape t;
      const Tensor x = leaf(golden, "gelu/x"), y = op(x, Loc::here());
      t.tape.backward(sum(y));
      const std::string name = form;
      INFO(name);
      CHECK(near(y.span(), golden.numbers(name + "_y")) <= kClose);
      CHECK(near(x.grad(), golden.numbers(name + "_dydx")) <= kClose);
    }
    // The two forms are not the same function: a mix-up would not pass.
    CHECK(near(golden.numbers("gelu/erf_y"), golden.numbers("gelu/tanh_y")).absolute > 1e-4);
  }

  TEST_CASE("goldens: layer norm, also of rows whose variance is near and exactly 0") {
    const Golden golden("ops");
    for (const Rung* rung : {&fused_rung(), &composed_rung()}) {
      OnTape t;
      const Tensor x = leaf(golden, "layer_norm/x"), g = leaf(golden, "layer_norm/gain"),
                   b = leaf(golden, "layer_norm/bias");
      const Tensor y = rung->layer_norm(x, g, b, Loc::here());
      t.tape.seed(y, golden.reals("layer_norm/dy"));
      t.tape.backward();
      INFO(std::string(rung->name));
      CHECK(near(y.span(), golden.numbers("layer_norm/y")) <= kClose);
      CHECK(near(x.grad(), golden.numbers("layer_norm/dx")) <= kClose);
      CHECK(near(g.grad(), golden.numbers("layer_norm/dgain")) <= kClose);
      CHECK(near(b.grad(), golden.numbers("layer_norm/dbias")) <= kClose);
    }
  }

  TEST_CASE("goldens: cross entropy by row, as a mean and with weights of any sign, logits up to 50") {
    const Golden golden("ops");
    const std::vector<int32_t> target = golden.ids("cross_entropy/targets");
    const std::vector<real> weight = golden.reals("cross_entropy/weights");
    for (const Rung* rung : {&fused_rung(), &composed_rung()}) {
      INFO(std::string(rung->name));
      {
        OnTape t;
        const Tensor z = leaf(golden, "cross_entropy/logits"),
                     rows = rung->softmax_cross_entropy(z, target, Loc::here());
        const Tensor loss = mean(rows);
        CHECK(near(rows.span(), golden.numbers("cross_entropy/rows")) <= kClose);
        CHECK(near(loss.span(), golden.numbers("cross_entropy/mean")) <= kClose);
        t.tape.backward(loss);
        CHECK(near(z.grad(), golden.numbers("cross_entropy/mean_dlogits")) <= kClose);
      }
      {
        OnTape t;
        const Tensor z = leaf(golden, "cross_entropy/logits"),
                     rows = rung->softmax_cross_entropy(z, target, Loc::here());
        t.tape.seed(rows, weight);  // as a policy gradient gives its advantages
        t.tape.backward();
        CHECK(near(z.grad(), golden.numbers("cross_entropy/weighted_dlogits")) <= kClose);
      }
    }
    OnTape t;
    const Tensor z = leaf(golden, "cross_entropy/logits"), loss = softmax_cross_entropy(z, target, weight);
    CHECK(near(loss.span(), golden.numbers("cross_entropy/weighted")) <= kClose);
    t.tape.backward(loss);
    CHECK(near(z.grad(), golden.numbers("cross_entropy/weighted_dlogits")) <= kClose);
  }

  TEST_CASE("goldens: a row without a target counts as nothing") {
    const Golden golden("ops");
    std::vector<int32_t> target = golden.ids("cross_entropy/targets");
    target[1] = target[4] = kNoTarget;
    std::vector<double> rows = golden.numbers("cross_entropy/rows"), dz = golden.numbers("cross_entropy/mean_dlogits");
    for (const size_t n : {size_t{1}, size_t{4}}) {
      rows[n] = 0;
      std::fill_n(dz.begin() + long(n) * 11, 11, 0.0);
    }
    for (const Rung* rung : {&fused_rung(), &composed_rung()}) {
      OnTape t;
      const Tensor z = leaf(golden, "cross_entropy/logits"), y = rung->softmax_cross_entropy(z, target, Loc::here());
      t.tape.backward(mean(y));
      INFO(std::string(rung->name));
      CHECK(near(y.span(), rows) <= kClose);
      CHECK(near(z.grad(), dz) <= kClose);
    }
  }

  TEST_CASE("goldens: log softmax") {
    const Golden golden("ops");
    OnTape t;
    const Tensor x = leaf(golden, "log_softmax/x"), y = log_softmax(x);
    CHECK(near(y.span(), golden.numbers("log_softmax/y")) <= kClose);
    t.tape.seed(y, golden.reals("log_softmax/dy"));
    t.tape.backward();
    CHECK(near(x.grad(), golden.numbers("log_softmax/dx")) <= kClose);
  }
}
