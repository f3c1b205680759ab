// A golden file of tests/goldens (see its README.md). Tests run from the root of the repository.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "engine/io/safetensors.h"
#include "engine/real.h"
#include "tests/near.h"

namespace gradus::testing {

class Golden {
 public:
  explicit Golden(const std::string& name) : file_(SafetensorsFile::open("tests/goldens/" + name + ".safetensors")) {}
  const SafetensorsFile& file() const { return file_; }
  std::vector<double> numbers(const std::string& name) const { return read<double>(name); }
  std::vector<real> reals(const std::string& name) const { return read<real>(name); }
  std::vector<int32_t> ids(const std::string& name) const {
    const std::vector<double> x = numbers(name);
    return {x.begin(), x.end()};
  }

 private:
  template <class T>
  std::vector<T> read(const std::string& name) const {
    const TensorInfo& info = file_.at(name);
    std::vector<T> out(static_cast<size_t>(info.numel()));
    file_.read(info, out);
    return out;
  }
  SafetensorsFile file_;
};

// |a - wanted| / |wanted|, Euclidean.
template <class A, class B>
double norm_distance(const A& a, const B& wanted) {
  REQUIRE(std::size(a) == std::size(wanted));
  double d = 0, n = 0;
  for (size_t i = 0; i < std::size(a); ++i) {
    const double here = double(a[i]) - double(wanted[i]);
    d += here * here;
    n += double(wanted[i]) * double(wanted[i]);
  }
  return std::sqrt(d / std::max(n, 1e-300));
}

}  // namespace gradus::testing
