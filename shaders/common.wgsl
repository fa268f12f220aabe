// Shared head of every canvas pass: the view, the quad, the output colour. Joined in front of each pass by
// `src/render/pipelines.rs`; the host's twin of `View` is `ViewUniform` in `src/render/gpu_types.rs`.

struct View {
    // Where the picture's top left corner lies in the framebuffer, physical pixels.
    origin_px: vec2<f32>,
    // Size of the framebuffer, physical pixels.
    screen_px: vec2<f32>,
    // Size of the picture, picture pixels.
    picture: vec2<f32>,
    // Physical pixels a picture pixel.
    zoom_px: f32,
    // Level of the picture's texture to read; 0 is the finest one bound.
    lod: f32,
    // 1: each picture pixel is one flat square.
    nearest: u32,
    // 1: the framebuffer encodes sRGB itself, so it must be given linear values.
    linear_output: u32,
    // How much an instance's tint covers the picture, 0..1.
    tint_opacity: f32,
    // 1: edges of instances are drawn.
    outlines: u32,
    // 1: some visible instance is selected.
    selection: u32,
    padding_0: u32,
    padding_1: u32,
    padding_2: u32,
};

@group(0) @binding(0) var<uniform> view: View;

// The picture point under the centre of a framebuffer pixel.
fn image_from_fragment(position: vec2<f32>) -> vec2<f32> {
    return (position - view.origin_px) / view.zoom_px;
}

// Corner `index` (0..3, a triangle strip) of a rectangle given in picture pixels, cut to the framebuffer so that a
// strongly zoomed picture keeps its precision.
fn quad_corner(index: u32, low: vec2<f32>, high: vec2<f32>) -> vec4<f32> {
    let pick = vec2<f32>(f32(index & 1u), f32(index >> 1u));
    let at_px = view.origin_px + mix(low, high, pick) * view.zoom_px;
    let cut_px = clamp(at_px, vec2<f32>(0.0), view.screen_px);
    let ndc = cut_px / view.screen_px * 2.0 - 1.0;
    return vec4<f32>(ndc.x, -ndc.y, 0.0, 1.0);
}

// The whole picture.
fn picture_corner(index: u32) -> vec4<f32> {
    return quad_corner(index, vec2<f32>(0.0), view.picture);
}

// Premultiplied sRGB-encoded colour to what the framebuffer expects, as egui's own shader does it.
fn output_color(color: vec4<f32>) -> vec4<f32> {
    if (view.linear_output == 0u) {
        return color;
    }
    let low = color.rgb / 12.92;
    let high = pow((color.rgb + 0.055) / 1.055, vec3<f32>(2.4));
    return vec4<f32>(select(high, low, color.rgb < vec3<f32>(0.04045)), color.a);
}

// Lays premultiplied `top` over premultiplied `bottom`.
fn over(top: vec4<f32>, bottom: vec4<f32>) -> vec4<f32> {
    return top + bottom * (1.0 - top.a);
}
