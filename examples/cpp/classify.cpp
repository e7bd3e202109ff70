// Classify JPEGs with a bundle in C++: classify BUNDLE PICTURE...
// For networks of 1 or 3 channels. It needs OpenVINO, libjpeg-turbo and nlohmann-json (CMakeLists.txt says how).

#include <openvino/openvino.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include <jpeglib.h>
#include <jerror.h>
#include <nlohmann/json.hpp>

using nlohmann::json;
using Bytes = std::vector<uint8_t>;

struct Image {
    int width, height, channels;
    Bytes pixels;
};

struct Size {
    int height, width;
    explicit Size(const json& value)
        : height(value.is_array() ? value[0] : value), width(value.is_array() ? value[1] : value) {}
};

// The manifest's `preprocess`.
struct Preprocess {
    Size size, resize;
    int channels;
    std::string interpolation, decoding, frame;
    std::vector<double> mean;
    explicit Preprocess(const json& values)
        : size(values["size"]), resize(values["resize"]), channels(values["channels"]),
          interpolation(values["interpolation"]), decoding(values["decoding"]), frame(values.value("frame", "crop")),
          mean(values["mean"].get<std::vector<double>>()) {}
};

int half_even(double value) { return int(std::nearbyint(value)); }

// Orientation of an Exif block: how often and in which way the picture is turned, 1 for upright.
int orientation(const Bytes& file) {
    for (size_t at = 2; at + 4 < file.size() && file[at] == 0xff && file[at + 1] != 0xda;) {
        size_t end = at + 2 + file[at + 2] * 256 + file[at + 3], tiff = at + 10;
        if (file[at + 1] == 0xe1 && end <= file.size() && tiff + 8 < end && !memcmp(&file[at + 4], "Exif\0", 6)) {
            bool little = file[tiff] == 'I';
            auto read = [&](size_t place, int bytes) {
                size_t value = 0;
                for (int n = 0; n < bytes && place + n < end; n++)
                    value |= size_t(file[place + n]) << 8 * (little ? n : bytes - 1 - n);
                return value;
            };
            size_t table = tiff + read(tiff + 4, 4);
            for (size_t entry = 0; entry < read(table, 2); entry++)
                if (read(table + 2 + 12 * entry, 2) == 0x0112) return int(read(table + 10 + 12 * entry, 2));
        }
        at = end;
    }
    return 1;
}

// Turn a picture upright.
Image turned(const Image& image, int how) {
    if (how < 2 || how > 8) return image;
    bool swapped = how > 4;
    Image made{swapped ? image.height : image.width, swapped ? image.width : image.height, image.channels, {}};
    made.pixels.resize(image.pixels.size());
    for (int y = 0; y < made.height; y++)
        for (int x = 0; x < made.width; x++) {
            int column = swapped ? y : x, row = swapped ? x : y;
            if (how == 2 || how == 3 || how == 7 || how == 8) column = image.width - 1 - column;
            if (how == 3 || how == 4 || how == 6 || how == 7) row = image.height - 1 - row;
            for (int c = 0; c < image.channels; c++)
                made.pixels[(size_t(y) * made.width + x) * made.channels + c] =
                    image.pixels[(size_t(row) * image.width + column) * image.channels + c];
        }
    return made;
}

// Decode upright RGB or gray; with "draft" at the smallest scale that is large enough.
Image decode(const std::string& name, const Preprocess& how) {
    std::ifstream stream(name, std::ios::binary);
    if (!stream) throw std::runtime_error("cannot be opened");
    Bytes file{std::istreambuf_iterator<char>(stream), {}};
    int way = orientation(file);
    jpeg_decompress_struct jpeg;
    jpeg_error_mgr errors;
    jpeg.err = jpeg_std_error(&errors);
    errors.error_exit = [](j_common_ptr info) {
        char text[JMSG_LENGTH_MAX];
        info->err->format_message(info, text);
        throw std::runtime_error(text);
    };
    errors.emit_message = [](j_common_ptr info, int) {
        if (info->err->msg_code == JWRN_JPEG_EOF) throw std::runtime_error("the file is cut off");
    };
    jpeg_create_decompress(&jpeg);
    jpeg_mem_src(&jpeg, file.data(), file.size());
    jpeg_read_header(&jpeg, TRUE);
    if (jpeg.num_components > 3) throw std::runtime_error("not RGB or gray");
    if (how.decoding == "draft") {
        int rows = way > 4 ? how.resize.width : how.resize.height, columns = way > 4 ? how.resize.height : how.resize.width;
        for (int n : {2, 4, 8}) {
            bool high = int(jpeg.image_height) / n >= rows, wide = int(jpeg.image_width) / n >= columns;
            if (how.frame == "pad" ? high || wide : high && wide) jpeg.scale_denom = n;
        }
        jpeg.scale_num = 1;
    }
    jpeg.out_color_space = jpeg.num_components == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_start_decompress(&jpeg);
    int stored = jpeg.output_components;
    Image image{int(jpeg.output_width), int(jpeg.output_height), how.channels, {}};
    image.pixels.resize(size_t(image.width) * image.height * how.channels);
    Bytes line(size_t(image.width) * stored);
    for (int y = 0; y < image.height; y++) {
        uint8_t* row = line.data();
        jpeg_read_scanlines(&jpeg, &row, 1);
        for (int x = 0; x < image.width; x++) {
            const uint8_t *from = row + x * stored, *green = from + (stored > 1), *blue = from + (stored > 1) * 2;
            uint8_t* to = &image.pixels[(size_t(y) * image.width + x) * how.channels];
            if (how.channels == 1)
                *to = stored == 1 ? *from : (19595 * *from + 38470 * *green + 7471 * *blue + 32768) >> 16;
            else
                to[0] = *from, to[1] = *green, to[2] = *blue;
        }
    }
    jpeg_finish_decompress(&jpeg);
    jpeg_destroy_decompress(&jpeg);
    return turned(image, way);
}

double sinc(double x) { return x == 0 ? 1 : std::sin(M_PI * x) / (M_PI * x); }

// Weight of a place at a distance x from the center.
double weight(const std::string& interpolation, double x) {
    if (interpolation == "bilinear") return std::max(0.0, 1 - x);
    if (interpolation == "bicubic")
        return x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
    return x < 3 ? sinc(x) * sinc(x / 3) : 0;
}

// Resize one axis: for each new place, sum the places that the filter covers, with weights of 22 bits.
Image along(const Image& image, bool down, int size, float start, float end, const std::string& interpolation) {
    int length = down ? image.height : image.width, channels = image.channels;
    if (size == length && start == 0 && end == float(length)) return image;
    double scale = double(end - start) / size, stretch = std::max(1.0, scale);
    double reach = (interpolation == "bilinear" ? 1 : interpolation == "bicubic" ? 2 : 3) * stretch;
    Image made{down ? image.width : size, down ? size : image.height, channels, {}};
    made.pixels.resize(size_t(made.width) * made.height * channels);
    size_t step = down ? size_t(image.width) * channels : channels;
    for (int place = 0; place < size; place++) {
        double center = start + (place + 0.5) * scale, sum = 0;
        int first = std::max(0, int(center - reach + 0.5)), last = std::min(length, int(center + reach + 0.5));
        std::vector<double> weights;
        for (int n = first; n < last; n++) {
            weights.push_back(weight(interpolation, std::abs((n - center + 0.5) * (1 / stretch))));
            sum += weights.back();
        }
        std::vector<int> rounded;
        for (double w : weights) rounded.push_back(int(w * (1 / sum) * (1 << 22) + (w < 0 ? -0.5 : 0.5)));
        int other = down ? image.width : image.height;
        for (int across = 0; across < other; across++)
            for (int channel = 0; channel < channels; channel++) {
                size_t from = (down ? size_t(across) : size_t(across) * image.width) * channels + channel;
                size_t to = (down ? size_t(place) * made.width + across : size_t(across) * made.width + place);
                int total = 1 << 21;
                for (size_t n = 0; n < rounded.size(); n++) total += rounded[n] * image.pixels[from + (first + n) * step];
                made.pixels[to * channels + channel] = uint8_t(std::clamp(total >> 22, 0, 255));
            }
    }
    return made;
}

// Fit a picture into the input: height * width * channels bytes.
Bytes fit(Image image, const Preprocess& how) {
    int height = how.size.height, width = how.size.width, rows = how.resize.height, columns = how.resize.width;
    bool pad = how.frame == "pad", whole = how.frame == "stretch";
    long across = whole ? columns : image.width, down = whole ? rows : image.height;
    int wide = columns, high = int(std::max(1L, columns * down / across));
    if ((across * rows >= down * columns) != pad) high = rows, wide = int(std::max(1L, rows * across / down));
    auto middle = [&](int spare) { return pad ? -((-spare) >> 1) : half_even(spare / 2.0); };
    int left = middle(wide - width), top = middle(high - height);
    float box[] = {0, 0, float(image.width), float(image.height)};
    if (!pad && (how.decoding == "draft" || wide > 8 * columns || high > 8 * rows)) {
        double x = double(image.width) / wide, y = double(image.height) / high;
        box[0] = float(left * x), box[1] = float(top * y);
        box[2] = float((left + width) * x), box[3] = float((top + height) * y);
        wide = width, high = height, left = top = 0;
    }
    image = along(image, false, wide, box[0], box[2], how.interpolation);
    image = along(image, true, high, box[1], box[3], how.interpolation);
    Bytes pixels;
    for (int row = 0; row < height; row++)
        for (int column = 0; column < width; column++)
            for (int channel = 0; channel < how.channels; channel++) {
                int x = column + left, y = row + top;
                bool inside = x >= 0 && x < wide && y >= 0 && y < high;
                pixels.push_back(
                    inside ? image.pixels[(size_t(y) * wide + x) * how.channels + channel]
                           : uint8_t(std::clamp(half_even(255 * how.mean[channel]), 0, 255))
                );
            }
    return pixels;
}

int main(int count, char** arguments) {
    const char* file = arguments[1];
    try {
        if (count < 3) throw std::runtime_error("usage: classify BUNDLE PICTURE...");
        ov::Core core;
        auto model = core.read_model(file);
        json manifest = json::parse(model->get_rt_info<std::string>("framework", "pennyweight"));
        Preprocess how(manifest["preprocess"]);
        auto compiled = core.compile_model(model, "CPU", ov::hint::inference_precision(ov::element::f32));
        auto request = compiled.create_infer_request();
        for (int n = 2; n < count; n++) {
            Bytes pixels = fit(decode(file = arguments[n], how), how);
            ov::Shape shape{1, size_t(how.size.height), size_t(how.size.width), size_t(how.channels)};
            request.set_tensor("images", ov::Tensor(ov::element::u8, shape, pixels.data()));
            request.infer();
            ov::Tensor probabilities = request.get_tensor("probabilities");
            const float* first = probabilities.data<float>();
            const float* best = std::max_element(first, first + probabilities.get_size());
            auto label = manifest["labels"][best - first].get<std::string>();
            std::printf("%s\t%s\t%.6f\n", file, label.c_str(), *best);
        }
    } catch (const std::exception& error) {
        std::string why = error.what();  // OpenVINO gives the reason last, after lines about itself
        why.erase(why.find_last_not_of('\n') + 1);
        std::cerr << (file ? file : "classify") << ": " << why.substr(why.rfind('\n') + 1) << "\n";
        return 1;
    }
}
