// The metrics of replies on texts worked out by hand. Tokens: 0 the, 1 cat, 2 sat, 3 on, 4 mat, 5 is.
#include <doctest/doctest.h>

#include <cmath>

#include "rl/rewards/overlap.h"
#include "tests/near.h"

using namespace gradus;

using Text = std::vector<int32_t>;
using Texts = std::vector<Text>;

static Bleu bleu_of(const Text& text, const Texts& references) {
  Bleu bleu;
  bleu.add(text, references);
  return bleu;
}

TEST_SUITE_BEGIN("overlap");

TEST_CASE("overlap: BLEU of the cat sat on the mat, beside the cat is on the mat") {
  const Text hypothesis{0, 1, 2, 3, 0, 4}, reference{0, 1, 5, 3, 0, 4};
  const Bleu bleu = bleu_of(hypothesis, {reference});  // matches 5 of 6, 3 of 5, 1 of 4, 0 of 3
  CHECK(bleu.score() == 0);
  CHECK(near(bleu.smoothed(), std::pow(5.0 / 6 * 4 / 6 * 2 / 5 * 1 / 4, 0.25)) <= 1e-15);
  const Text longer{0, 1, 5, 3, 0, 4, 2};  // 6 of 7, 5 of 6, 4 of 5, 3 of 4; longer than the reference
  CHECK(near(bleu_of(longer, {reference}).score(), std::pow(6.0 / 7 * 5 / 6 * 4 / 5 * 3 / 4, 0.25)) <= 1e-15);
}

TEST_CASE("overlap: a word counts no more often than one reference has it (Papineni et al. 2002: 2 of 7)") {
  const Text same(7, 0), reference{0, 1, 5, 3, 0, 4};
  CHECK(bleu_of(same, {reference}).score() == 0);  // no pair of words
  CHECK(near(bleu_of(same, {reference}).smoothed(), std::pow(2.0 / 7 * 1 / 7 * 1 / 6 * 1 / 5, 0.25)) <= 1e-15);
  // In two references together "the" occurs three times, but in neither more than twice.
  CHECK(near(bleu_of({0, 0, 0}, {{0, 0, 1}, {0, 2, 2}}).smoothed(), std::pow(2.0 / 3 * 2 / 3 * 1 / 2, 0.25)) <= 1e-15);
}

TEST_CASE("overlap: a text shorter than the nearest reference pays e^(1 - r/c)") {
  CHECK(near(bleu_of({0, 1}, {{0, 1, 2, 3}}).score(), std::exp(-1)) <= 1e-15);  // of 1 and 2 words alone: p = 1
  CHECK(near(bleu_of({0, 1}, {{0, 1, 2, 3}}).smoothed(), std::exp(-1)) <= 1e-15);
  CHECK(near(bleu_of({0, 1, 2}, {{0, 1, 2, 3}}).score(), std::exp(1 - 4.0 / 3)) <= 1e-15);
  CHECK(bleu_of({0, 1, 2}, {{0, 1, 2, 3}, {0, 1}}).score() == 1);  // equally near: the shorter one
  CHECK(near(bleu_of({0, 1, 2}, {{0, 1, 2, 3}, {0}}).score(), std::exp(1 - 4.0 / 3)) <= 1e-15);
}

TEST_CASE("overlap: the counts of many texts add up before they are divided") {
  Bleu all;
  all.add(Text{0, 1, 2, 3}, Texts{{0, 1, 2, 3}});
  all.add(Text{4, 4, 4, 4}, Texts{{5, 5, 5, 5}});
  CHECK(near(all.score(), 0.5) <= 1e-15);  // 4 of 8, 3 of 6, 2 of 4, 1 of 2
}

TEST_CASE("overlap: a reference is worth 1 itself, and nothing is worth 1 only where nothing is wanted") {
  for (const Text& text : Texts{{0}, {0, 1}, {0, 1, 2}, {0, 1, 2, 3, 0, 1}, {}}) {
    const Texts references{{5, 5, 5}, text};
    CHECK(bleu_of(text, {text}).score() == 1);
    CHECK(bleu_of(text, references).smoothed() == 1);
    CHECK(rouge_l(text, references) == 1);
    CHECK(exact_match(text, references) == 1);
  }
  for (const auto& [text, reference] : {std::pair<Text, Text>{{}, {0}}, {{0}, {}}, {{0, 1}, {2, 3}}}) {
    CHECK(bleu_of(text, {reference}).score() == 0);
    CHECK(bleu_of(text, {reference}).smoothed() == 0);
    CHECK(rouge_l(text, Texts{reference}) == 0);
    CHECK(exact_match(text, Texts{reference}) == 0);
  }
}

TEST_CASE("overlap: ROUGE-L is the F1 of the longest common subsequence") {
  CHECK(rouge_l(Text{0, 2, 1, 3}, Texts{{0, 1, 2, 3}}) == 0.75);            // 3 of 4 and of 4
  CHECK(near(rouge_l(Text{0, 1}, Texts{{0, 5, 1, 4}}), 2.0 / 3) <= 1e-15);  // 2 of 2 and of 4
  CHECK(near(rouge_l(Text{3, 0, 1, 4}, Texts{{0, 1}}), 2.0 / 3) <= 1e-15);  // the same the other way round
  CHECK(near(rouge_l(Text{0, 1, 0, 2}, Texts{{2, 0, 1}}), 2 * 2.0 / 7) <= 1e-15);
  CHECK(rouge_l(Text{0, 1}, Texts{{5, 5}, {0, 1, 2, 3, 4, 5}, {0, 5}}) == 0.5);  // the best of 0, 1/2 and 1/2
}

TEST_CASE("overlap: an exact match is every token in its place") {
  CHECK(exact_match(Text{0, 1}, Texts{{0, 1, 2}}) == 0);
  CHECK(exact_match(Text{0, 1, 2}, Texts{{0, 1}}) == 0);
  CHECK(exact_match(Text{1, 0}, Texts{{0, 1}}) == 0);
}

TEST_SUITE_END();
