// Sums over very many numbers and norms of very large or small ones: what a plain sum of floats loses (kernels.h). Each
// gradient is the number of rows times one number, so that a float that stops growing shows.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "engine/kernels.h"
#include "engine/ops.h"
#include "engine/optim.h"
#include "engine/rng.h"
#include "tests/near.h"

namespace {

using namespace gradus;

constexpr int64_t kRows = 2'000'000, kWidth = 3;
constexpr double kExact = kDouble ? 1e-9 : 1e-6;

// The gradients of a step whose outputs are all seeded with 0.1.
template <class F>
std::vector<std::vector<double>> gradients(const std::vector<Shape>& shapes, double value, const F& f) {
  Tape tape;
  const Tape::Use use(tape);
  std::vector<Tensor> x;
  for (const Shape& s : shapes) x.push_back(variable("x", s, std::vector<real>(size_t(s.numel()), real(value))));
  const Tensor y = f(x);
  tape.seed(y, std::vector<real>(size_t(y.numel()), real(0.1)));
  tape.backward();
  std::vector<std::vector<double>> g;
  for (const Tensor& t : x) g.emplace_back(t.grad().begin(), t.grad().end());
  return g;
}

}  // namespace

TEST_SUITE("long_sums") {
  TEST_CASE("long sums: gradients over two million rows have all their digits") {
    const double tenth = double(real(0.1));
    const std::vector<double> wanted(size_t(kWidth), double(kRows) * tenth);
    const auto bias = gradients({{kRows, kWidth}, {kWidth}}, 2, [](auto& x) { return add_rows(x[0], x[1]); });
    CHECK(near(bias[1], wanted) <= kExact);
    const auto gain = gradients({{kRows, kWidth}, {kWidth}}, 2, [](auto& x) { return mul_rows(x[0], x[1]); });
    std::vector<double> twice(wanted);
    for (double& w : twice) w *= 2;
    CHECK(near(gain[1], twice) <= kExact);
    const auto affine =
        gradients({{kRows, 1}, {1, kWidth}, {kWidth}}, 1, [](auto& x) { return linear(x[0], x[1], x[2]); });
    CHECK(near(affine[2], wanted) <= kExact);
    CHECK(near(affine[1], wanted) <= 1e-4);  // by a matrix product of BLAS
    const auto normed =
        gradients({{kRows, kWidth}, {kWidth}, {kWidth}}, 1, [](auto& x) { return layer_norm(x[0], x[1], x[2]); });
    CHECK(near(normed[2], wanted) <= kExact);
    // Nearly all rows look up one row of the table, the others another.
    std::vector<int32_t> id(size_t(kRows), 1);
    for (size_t i = 0; i < 1000; ++i) id[i * 7] = 3;
    const auto table = gradients({{5, kWidth}}, 1, [&](auto& x) { return embedding(x[0], id); });
    std::vector<double> looked_up(5 * size_t(kWidth), 0.0);
    for (size_t j = 0; j < size_t(kWidth); ++j)
      looked_up[size_t(kWidth) + j] = double(kRows - 1000) * tenth, looked_up[3 * size_t(kWidth) + j] = 1000 * tenth;
    CHECK(near(table[0], looked_up) <= (kDouble ? 1e-9 : 1e-6));
    CHECK(table[0][3 * size_t(kWidth)] == doctest::Approx(1000 * tenth).epsilon(1e-5));
  }

  TEST_CASE("long sums: the gain of layer_norm, whose terms differ in size and sign") {
    const int64_t N = 200'000;
    Tape tape;
    const Tape::Use use(tape);
    std::vector<real> x(size_t(N * kWidth));
    for (size_t i = 0; i < x.size(); ++i) x[i] = real(i % 3 == 0 ? 1 : i % 3 == 1 ? 2 : 4);
    const Tensor g = variable("g", {kWidth}, std::vector<real>(size_t(kWidth), real(1)));
    const Tensor y = layer_norm(variable("x", {N, kWidth}, x), g, {});
    tape.seed(y, std::vector<real>(x.size(), real(0.1)));
    tape.backward();
    std::vector<double> wanted;
    const double mean = 7.0 / 3, deviation = std::sqrt(7 - mean * mean + kLayerNormEps);
    for (const double v : {1.0, 2.0, 4.0}) wanted.push_back(double(N) * double(real(0.1)) * (v - mean) / deviation);
    CHECK(near(g.grad(), wanted) <= (kDouble ? 1e-9 : 1e-6));
  }

  TEST_CASE("long sums: rows of millions, and short sums keep their bits") {
    const std::vector<real> tenths(3'000'001, real(0.1)), ones(3'000'001, real(1));
    const double wanted = 3'000'001 * double(real(0.1));
    const int64_t n = int64_t(tenths.size());
    CHECK(double(kernel::sum(n, tenths.data())) == doctest::Approx(wanted).epsilon(10 * kExact));
    CHECK(double(kernel::dot(n, tenths.data(), ones.data())) == doctest::Approx(wanted).epsilon(10 * kExact));
    // Up to kLongSum rows are added one after the other into the gradient, as they always were.
    std::vector<real> rows(size_t(kLongSum), real(0));
    real plain = 0;
    for (size_t i = 0; i < rows.size(); ++i) plain += rows[i] = real(Rng(1, Stream::kTest).normal(int64_t(i)));
    Tape tape;
    const Tape::Use use(tape);
    const Tensor b = variable("b", {1}, std::vector<real>{0});
    const Tensor y = add_rows(constant({int64_t(rows.size()), 1}, 0), b);
    tape.seed(y, rows);
    tape.backward();
    CHECK(b.grad()[0] == plain);
  }

  TEST_CASE("long sums: a norm does not over- or underflow where it is a number itself") {
    const auto norm = [](const std::vector<double>& x) { return kernel::norm(int64_t(x.size()), x.data()); };
    CHECK(norm({3e200, 4e200}) == doctest::Approx(5e200).epsilon(1e-14));
    CHECK(norm({3e-200, -4e-200}) == doctest::Approx(5e-200).epsilon(1e-14));
    CHECK(norm({3e-320, 4e-320}) == doctest::Approx(5e-320).epsilon(1e-3));  // of few digits
    CHECK(norm({5e-324}) == 5e-324);
    CHECK(norm({1e200, 1e-200, 0}) == doctest::Approx(1e200).epsilon(1e-14));
    CHECK(norm({3, 4}) == 5);
    CHECK(norm({}) == 0);
    CHECK(norm({0, -0.0}) == 0);
    CHECK(norm(std::vector<double>(40, 1e300)) == doctest::Approx(std::sqrt(40.0) * 1e300).epsilon(1e-14));
    const double inf = std::numeric_limits<double>::infinity(), most = std::numeric_limits<double>::max();
    CHECK(norm({1, -inf}) == inf);
    CHECK(norm({most, most}) == inf);  // this one is none
    CHECK(std::isnan(norm({1e300, std::nan(""), 1e300})));
    const std::vector<float> f{3e30f, 4e30f};
    CHECK(kernel::norm(2, f.data()) == doctest::Approx(5e30).epsilon(1e-6));
    const double far = kDouble ? 1e200 : 1e30;  // a gradient of that size can be clipped
    const std::vector<real> g{real(3 * far), real(4 * far)};
    CHECK(gradient_norm(g) == doctest::Approx(5 * far).epsilon(1e-6));
    CHECK(clip_factor(gradient_norm(g), 1) == doctest::Approx(0.2 / far).epsilon(1e-6));
  }
}
