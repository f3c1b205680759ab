#include "engine/io/json.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_set>
#include <utility>

namespace gradus {

// Not the variant's own: where its copy runs out of memory, libstdc++ 12 destroys a value that was never made.
Json::Json(const Json& other) {
  std::visit(
      [this](const auto& x) {
        auto copy = x;
        value_ = std::move(copy);
      },
      other.value_);
}
Json::Json(Json&&) noexcept = default;
Json::~Json() = default;
Json& Json::operator=(Json other) noexcept {
  value_ = std::move(other.value_);
  return *this;
}

Json Json::array() {
  Json json;
  json.value_ = Array();
  return json;
}
Json Json::object() {
  Json json;
  json.value_ = Object();
  return json;
}

Json::Json(const std::map<std::string, std::string>& members) : Json(object()) {
  for (const auto& member : members) std::get<Object>(value_).emplace_back(member.first, member.second);
}

Json::Json(std::initializer_list<Json> list) {
  const bool pairs = std::ranges::all_of(
      list, [](const Json& pair) { return pair.is_array() && pair.size() == 2 && pair.at(size_t{0}).is_string(); });
  *this = pairs ? object() : array();
  for (const Json& element : list)
    if (pairs)
      (*this)[std::get<std::string>(element.at(size_t{0}).value_)] = element.at(1);
    else
      push_back(element);
}

// ------------------------------------------------------------------------------------------------------------ reading

// Puts together what the library's parser meets, and refuses what it would let pass.
class Json::Builder final : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit Builder(std::string_view text) : text_(text) {}
  Json take() { return std::move(root_); }

  bool null() override { return add(nullptr); }
  bool boolean(bool x) override { return add(x); }
  bool number_integer(number_integer_t x) override { return add(x); }
  bool number_unsigned(number_unsigned_t x) override {
    return x <= uint64_t(std::numeric_limits<int64_t>::max()) ? add(int64_t(x)) : add(double(x));
  }
  bool number_float(number_float_t x, const string_t&) override { return add(x); }
  bool string(string_t& x) override { return add(std::move(x)); }
  bool binary(binary_t&) override { return false; }
  bool start_object(size_t) override { return open(Json::object()); }
  bool start_array(size_t) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    Open& into = open_.back();
    if (!into.names.insert(name).second) throw JsonError(Json(name).dump() + " occurs twice in one object");
    std::get<Object>(into.value.value_).emplace_back(std::move(name), nullptr);
    return true;
  }
  bool parse_error(size_t position, const std::string&, const nlohmann::json::exception& error) override {
    constexpr int kOutOfRange = 406;
    if (error.id == kOutOfRange) throw JsonError("holds a number that is out of range");
    const size_t read = std::min(text_.size(), position > 0 ? position - 1 : 0);
    throw JsonError(
        text("line ", 1 + std::count(text_.begin(), text_.begin() + std::ptrdiff_t(read), '\n'), " is not JSON"));
  }

 private:
  struct Open {
    Json value;
    std::unordered_set<std::string> names;  // of its members
  };

  bool add(Json value) {
    if (open_.empty())
      root_ = std::move(value);
    else if (Open& into = open_.back(); into.value.is_array())
      into.value.push_back(std::move(value));
    else
      std::get<Object>(into.value.value_).back().second = std::move(value);
    return true;
  }
  bool open(Json value) {
    if (open_.size() == size_t(Json::kMaxDepth))
      throw JsonError(text("is nested more than ", Json::kMaxDepth, " levels deep"));
    open_.push_back({std::move(value), {}});
    return true;
  }
  bool close() {
    Json value = std::move(open_.back().value);
    open_.pop_back();
    return add(std::move(value));
  }

  std::string_view text_;
  Json root_;
  std::vector<Open> open_;  // arrays and objects around the present place
};

Json Json::parse(std::string_view text) {
  Builder builder(text);
  nlohmann::json::sax_parse(text.begin(), text.end(), &builder);
  return builder.take();
}

Json Json::parse_or_null(std::string_view text) {
  try {
    return parse(text);
  } catch (const JsonError&) {
    return nullptr;
  }
}

// ------------------------------------------------------------------------------------------------------------ writing

// Strings and numbers as the library writes them. Not whole objects: it looks through all members for each new one.
template <class T>
static void write(std::string& out, const T& x) {
  out += nlohmann::json(x).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

static void write_value(std::string& out, const Json& json) {
  const char* comma = "";
  if (json.is_object()) {
    out += '{';
    for (const auto& [name, value] : json.items()) {
      out += std::exchange(comma, ",");
      write(out, name);
      out += ':';
      write_value(out, value);
    }
    out += '}';
  } else if (json.is_array()) {
    out += '[';
    for (const Json& element : json) {
      out += std::exchange(comma, ",");
      write_value(out, element);
    }
    out += ']';
  } else if (json.is_string()) {
    write(out, json.get<std::string>());
  } else if (json.is_number_integer()) {
    out += std::to_string(json.get<int64_t>());
  } else if (json.is_number()) {
    write(out, json.get<double>());
  } else {
    out += json.is_boolean() ? json.get<bool>() ? "true" : "false" : "null";
  }
}

std::string Json::dump() const {
  std::string out;
  write_value(out, *this);
  return out;
}

// ------------------------------------------------------------------------------------------------------------ looking

template <>
bool Json::get<bool>() const {
  if (!is_boolean()) throw JsonError("is neither true nor false");
  return std::get<bool>(value_);
}
template <>
int64_t Json::get<int64_t>() const {
  if (!is_number_integer()) throw JsonError("is not a whole number of 64 bits");
  return std::get<int64_t>(value_);
}
template <>
int32_t Json::get<int32_t>() const {
  const int64_t x = get<int64_t>();
  if (x < INT32_MIN || x > INT32_MAX) throw JsonError("is not a whole number of 32 bits");
  return int32_t(x);
}
template <>
double Json::get<double>() const {
  if (!is_number()) throw JsonError("is not a number");
  return is_number_integer() ? double(std::get<int64_t>(value_)) : std::get<double>(value_);
}
template <>
std::string Json::get<std::string>() const {
  if (!is_string()) throw JsonError("is not a text");
  return std::get<std::string>(value_);
}

const Json* Json::find(std::string_view name) const {
  for (const Member& member : items())
    if (member.first == name) return &member.second;
  return nullptr;
}

const Json& Json::at(std::string_view name) const {
  if (const Json* member = find(name)) return *member;
  throw JsonError(text("lacks \"", name, "\""));
}

Json& Json::operator[](std::string_view name) {
  if (is_null()) *this = object();
  if (!is_object()) throw JsonError("is not an object");
  if (const Json* member = find(name)) return const_cast<Json&>(*member);
  return std::get<Object>(value_).emplace_back(name, nullptr).second;
}

Json Json::value(std::string_view name, const Json& otherwise) const {
  const Json* member = find(name);
  return member ? *member : otherwise;
}

void Json::update(const Json& other) {
  for (const auto& [name, value] : other.items()) (*this)[name] = value;
}

const std::vector<Json::Member>& Json::items() const {
  static const std::vector<Member> kNone;
  return is_object() ? std::get<Object>(value_) : kNone;
}

void Json::push_back(Json element) {
  if (is_null()) *this = array();
  if (!is_array()) throw JsonError("is not a list");
  std::get<Array>(value_).push_back(std::move(element));
}

const Json& Json::at(size_t i) const {
  if (!is_array() || i >= size()) throw JsonError(text("has no element ", i));
  return std::get<Array>(value_)[i];
}
const Json* Json::begin() const { return is_array() ? std::get<Array>(value_).data() : nullptr; }

size_t Json::size() const { return is_array() ? std::get<Array>(value_).size() : items().size(); }

bool Json::operator==(const Json& other) const { return value_ == other.value_; }

}  // namespace gradus
