// simdjson_columns.cpp -- the peer of json_bench: simdjson's On Demand parser fills the same columns from the same bytes.
//
// Two ways: `by_key` asks for the twelve keys in the order of the schema (its fastest way when they come in that
// order), `loop` goes over the fields as they come and finds each by length and first letter. The faster one for a
// case is the peer to beat. Build, from the root of the tree:
//   c++ -std=c++17 -O3 -march=native -I. bench/peers/simdjson_columns.cpp -lsimdjson
#include "bench/payment_rows.h"

#include <chrono>
#include <cstdlib>
#include <simdjson.h>
#include <string_view>
#include <vector>

using namespace simdjson;

namespace
{

constexpr size_t rows_total = 8000;
constexpr size_t rows_per_batch = 4096;

struct TextColumn {
    std::vector<char> bytes;
    std::vector<int32_t> ends;
};

struct Columns {
    size_t rows = 0;
    std::vector<int64_t> integers[4]; // tx_id, at, customer, terminal
    std::vector<double> amount, risk;
    TextColumn texts[4]; // currency, country, merchant, note
    std::vector<uint8_t> online, note_valid;
    std::vector<int32_t> items;

    Columns()
    {
        for (auto &c : integers)
            c.reserve(rows_per_batch);
        amount.reserve(rows_per_batch);
        risk.reserve(rows_per_batch);
        for (auto &t : texts) {
            t.bytes.reserve(rows_per_batch * 64);
            t.ends.reserve(rows_per_batch);
        }
        online.reserve(rows_per_batch);
        note_valid.reserve(rows_per_batch);
        items.reserve(rows_per_batch);
    }

    void clear()
    {
        rows = 0;
        for (auto &c : integers)
            c.clear();
        amount.clear();
        risk.clear();
        for (auto &t : texts) {
            t.bytes.clear();
            t.ends.clear();
        }
        online.clear();
        note_valid.clear();
        items.clear();
    }
};

int two(const char *p)
{
    return (p[0] - '0') * 10 + p[1] - '0';
}

// A plain parser of the fixed layout, with its checks.
int64_t parse_time(std::string_view s)
{
    static const int before[13] = {0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    const char *p = s.data();
    if (s.size() != 20 || p[4] != '-' || p[7] != '-' || p[10] != 'T' || p[13] != ':' ||
        p[16] != ':' || p[19] != 'Z')
        std::abort();
    int year = two(p) * 100 + two(p + 2), month = two(p + 5), day = two(p + 8);
    int hour = two(p + 11), minute = two(p + 14), second = two(p + 17);
    if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 59)
        std::abort();
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    int past = year - 1;
    int64_t days = int64_t(past) * 365 + past / 4 - past / 100 + past / 400 + before[month] +
                   (leap && month > 2) + day - 719163;
    return (days * 86400 + hour * 3600 + minute * 60 + second) * 1000000;
}

void add_text(TextColumn &column, std::string_view text)
{
    column.bytes.insert(column.bytes.end(), text.begin(), text.end());
    column.ends.push_back(int32_t(column.bytes.size()));
}

void put(Columns &c, int field, ondemand::value value)
{
    switch (field) {
    case 0:
    case 2:
    case 3:
        c.integers[field].push_back(value.get_int64());
        break;
    case 1:
        c.integers[1].push_back(parse_time(value.get_string()));
        break;
    case 4:
        c.amount.push_back(value.get_double());
        break;
    case 5:
    case 6:
    case 7:
        add_text(c.texts[field - 5], value.get_string());
        break;
    case 8:
        c.online.push_back(bool(value.get_bool()));
        break;
    case 9:
        c.risk.push_back(value.get_double());
        break;
    case 10:
        c.items.push_back(int32_t(int64_t(value.get_int64())));
        break;
    default:
        bool null = value.is_null();
        c.note_valid.push_back(!null);
        add_text(c.texts[3], null ? std::string_view() : std::string_view(value.get_string()));
    }
}

int field_of(std::string_view key)
{
    switch (key.size()) {
    case 2:
        return 1;
    case 4:
        return key[0] == 'r' ? 9 : 11;
    case 5:
        return key[0] == 't' ? 0 : 10;
    case 6:
        return key[0] == 'a' ? 4 : 8;
    case 7:
        return 6;
    default:
        return key[0] == 'm' ? 7 : key[0] == 't' ? 3 : key[2] == 's' ? 2 : 5;
    }
}

void add_sums(const Columns &c, payment_sums &sums)
{
    for (auto &column : c.integers)
        for (int64_t v : column)
            sums.integers += uint64_t(v);
    for (auto &t : c.texts)
        for (char b : t.bytes)
            sums.integers += uint8_t(b);
    for (uint8_t b : c.online)
        sums.integers += b;
    for (int32_t v : c.items)
        sums.integers += uint64_t(v);
    for (double v : c.amount)
        sums.floats += v;
    for (double v : c.risk)
        sums.floats += v;
    for (uint8_t v : c.note_valid)
        sums.nulls += !v;
}

size_t decode(ondemand::parser &parser, const padded_string &text, bool by_key, bool in_order,
              payment_sums *sums)
{
    Columns c;
    size_t rows = 0;
    ondemand::document_stream stream = parser.iterate_many(text, 1 << 18);
    for (auto document : stream) {
        ondemand::object object = document.get_object();
        if (by_key) {
            for (int i = 0; i < PAYMENT_FIELDS; i++)
                put(c, i,
                    in_order ? object.find_field(payment_names[i])
                             : object.find_field_unordered(payment_names[i]));
        } else {
            for (auto field : object) {
                std::string_view key = field.unescaped_key();
                put(c, field_of(key), field.value());
            }
        }
        rows++;
        if (++c.rows == rows_per_batch) {
            if (sums != nullptr)
                add_sums(c, *sums);
            c.clear();
        }
    }
    if (sums != nullptr)
        add_sums(c, *sums);
    return rows;
}

void measure(const char *name, int hard, bool by_key)
{
    std::vector<char> bytes;
    payment_random random = {42};
    char line[PAYMENT_ROW_BYTES_MAX];
    for (uint64_t row = 0; row < rows_total; row++) {
        size_t size = payment_json(&random, row, hard, line);
        bytes.insert(bytes.end(), line, line + size);
    }
    padded_string text(bytes.data(), bytes.size());
    ondemand::parser parser;
    payment_sums sums = {0, 0, 0};
    if (decode(parser, text, by_key, !hard, &sums) != rows_total)
        std::abort();
    std::fprintf(stderr, "%s: sums %llu %.17g %llu\n", name, (unsigned long long)sums.integers,
                 sums.floats, (unsigned long long)sums.nulls);
    double best = 1e30;
    for (int i = 0; i < 400; i++) {
        auto start = std::chrono::steady_clock::now();
        decode(parser, text, by_key, !hard, nullptr);
        std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
        best = took.count() < best ? took.count() : best;
    }
    const char *way = by_key ? "by_key" : "loop";
    std::printf("{\"name\": \"%s.simdjson_%s.speed\", \"value\": %.6g, \"unit\": \"MB/s\"}\n", name,
                way, double(bytes.size()) / best * 1000);
    std::printf("{\"name\": \"%s.simdjson_%s.row\", \"value\": %.6g, \"unit\": \"ns/row\"}\n", name,
                way, best / rows_total);
}

} // namespace

int main()
{
    measure("json.plain", 0, true);
    measure("json.plain", 0, false);
    measure("json.hard", 1, true);
    measure("json.hard", 1, false);
}
