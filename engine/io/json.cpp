#include "engine/io/json.h"

#include <utf8.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_set>
#include <utility>

#include "engine/io/orders.h"

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
  pairs ? std::get<Object>(value_).reserve(list.size()) : std::get<Array>(value_).reserve(list.size());
  for (const Json& element : list)
    if (pairs)
      (*this)[std::get<std::string>(element.at(size_t{0}).value_)] = element.at(1);
    else
      push_back(element);
}

// ------------------------------------------------------------------------------------------------------------ reading

// Of a number that no double holds, whether it is too small, not too large: where its first digit that is not 0 stands.
static bool is_below_one(std::string_view number) {
  const size_t e = std::min(number.find_first_of("eE"), number.size());
  const std::string_view digits = number.substr(0, e);
  const size_t point = std::min(digits.find('.'), e), first = digits.find_first_of("123456789");
  if (first == digits.npos) return true;  // 0
  int64_t power = 0;
  if (e < number.size()) {
    const std::string_view written = number.substr(e + (number[e + 1] == '+' ? 2 : 1));
    if (std::from_chars(written.data(), written.data() + written.size(), power).ec != std::errc())
      return written[0] == '-';  // more than any number of digits makes up for
  }
  return power < (first < point ? -int64_t(point - first - 1) : int64_t(first - point));
}

static Json read_number(JsonReader& in) {
  const std::string_view digits = in.number();
  const char *begin = digits.data(), *end = begin + digits.size();
  int64_t whole = 0;
  if (const auto [rest, error] = std::from_chars(begin, end, whole); error == std::errc() && rest == end) return whole;
  double x = 0;
  if (std::from_chars(begin, end, x).ec != std::errc() || std::isinf(x)) {
    if (!is_below_one(digits)) in.fail("holds a number that is out of range");
    x = 0;
  }
  return x;
}

// The next value; `room` is how many more there may be.
Json Json::read(JsonReader& in, size_t& room) {
  if (room-- == 0) in.fail("holds too many values");
  Json json;
  switch (in.peek()) {
    case '{': {
      json = object();
      Object& members = std::get<Object>(json.value_);
      std::unordered_set<std::string> names;
      in.open('{');
      while (in.more('}')) {
        std::string name = in.key();
        if (!names.insert(name).second) in.fail(in_quotes(name) + " occurs twice in one object");
        Json value = read(in, room);
        members.emplace_back(std::move(name), std::move(value));
      }
      break;
    }
    case '[':
      json = array();
      in.open('[');
      while (in.more(']')) json.push_back(read(in, room));
      break;
    case '"':
      json = in.text();
      break;
    case 't':
      in.word("true"), json = true;
      break;
    case 'f':
      in.word("false"), json = false;
      break;
    case 'n':
      in.word("null");
      break;
    default:
      json = read_number(in);
  }
  return json;
}

Json Json::parse(std::string_view text, size_t most) {
  JsonReader in(text);
  size_t room = most;
  Json json = read(in, room);
  in.end();
  return json;
}

std::vector<std::string> Json::parse_texts(std::string_view text, size_t most) {
  JsonReader in(text);
  std::vector<std::string> list;
  if (in.peek() != '[') in.fail("is not a list of texts");
  in.open('[');
  // Commas inside texts count too, so this is enough, and never more than is allowed.
  list.reserve(std::min(most, size_t(1 + std::ranges::count(text, ','))));
  while (in.more(']')) {
    if (list.size() == most) in.fail(gradus::text("lists more than ", most, " texts"));
    if (in.peek() != '"') in.fail(gradus::text("is not a list of texts: element ", list.size(), " is none"));
    list.push_back(in.text());
  }
  in.end();
  return list;
}

Json Json::parse_or_null(std::string_view text) {
  try {
    return parse(text);
  } catch (const JsonError&) {
    return nullptr;
  }
}

// ------------------------------------------------------------------------------------------------------------ writing

// ASCII that is shown as it is. The records of a step are made of nothing else, and then nothing has to be looked for:
// the library and a search for orders, a character at a time, were a tenth of a step of a model of width 16.
static bool is_plain(std::string_view s) {
  return std::ranges::all_of(s, [](char c) { return c >= 0x20 && c < 0x7F; });
}

// Strings and numbers as the library writes them. Not whole objects: it looks through all members for each new one.
template <class T>
static void write(std::string& out, const T& x) {
  out += nlohmann::json(x).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}
static void write_text(std::string& out, const std::string& s) {
  if (!is_plain(s) || s.find_first_of("\"\\") != s.npos) return write(out, s);
  out += '"';
  out += s;
  out += '"';
}

static void write_value(std::string& out, const Json& json) {
  const char* comma = "";
  if (json.is_object()) {
    out += '{';
    for (const auto& [name, value] : json.items()) {
      out += std::exchange(comma, ",");
      write_text(out, name);
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
    write_text(out, json.get<std::string>());
  } else if (json.is_number_integer()) {
    out += std::to_string(json.get<int64_t>());
  } else if (json.is_number()) {
    write(out, json.get<double>());
  } else {
    out += json.is_boolean() ? json.get<bool>() ? "true" : "false" : "null";
  }
}

// Every is_order() by its number, which means the same in JSON. Such characters stand only within strings.
static std::string without_orders(std::string json) {
  if (is_plain(json)) return json;
  std::string out;
  for (auto i = json.begin(); i != json.end();) {
    const auto begin = i;
    const char32_t c = utf8::unchecked::next(i);
    char escaped[8];
    if (is_order(c))
      out.append(escaped, size_t(std::snprintf(escaped, sizeof escaped, "\\u%04x", unsigned(c))));
    else
      out.append(begin, i);
  }
  return out;
}

std::string Json::dump() const {
  std::string out;
  write_value(out, *this);
  return without_orders(std::move(out));
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
