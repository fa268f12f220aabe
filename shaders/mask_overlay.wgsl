// A mask that is still logits: tint and outline of the place where the interpolated logit crosses the threshold.
// The interpolation is `LogitField::sample`, term for term, so the screen shows what the file will hold.
// Twin: `twin::mask_overlay`.

struct Field {
    // The part of the picture that the grid spans: x, y, width, height.
    span: vec4<f32>,
    // Tint, premultiplied by its opacity.
    tint: vec4<f32>,
    // The outline's two dash colours, premultiplied; equal ones give a plain line.
    dash_a: vec4<f32>,
    dash_b: vec4<f32>,
    threshold: f32,
    // Half the outline's width in physical pixels; 0 draws none.
    outline_half_px: f32,
    // Length of two dashes in physical pixels.
    dash_period_px: f32,
    // How far the dashes have marched, in periods, 0..1.
    dash_phase: f32,
};

@group(1) @binding(0) var logits: texture_2d<f32>;
@group(1) @binding(1) var<uniform> field: Field;

@vertex
fn vertex_main(@builtin(vertex_index) index: u32) -> @builtin(position) vec4<f32> {
    return quad_corner(index, field.span.xy, field.span.xy + field.span.zw);
}

@fragment
fn fragment_main(@builtin(position) position: vec4<f32>) -> @location(0) vec4<f32> {
    let at = image_from_fragment(position.xy);
    let grid = vec2<i32>(textureDimensions(logits, 0));
    let cells_a_pixel = vec2<f32>(grid) / field.span.zw;
    let g = max((at - field.span.xy) * cells_a_pixel - 0.5, vec2<f32>(0.0));
    let low = min(vec2<i32>(g), grid - 1);
    let high = min(low + 1, grid - 1);
    let f = min(g - vec2<f32>(low), vec2<f32>(1.0));
    let v00 = textureLoad(logits, low, 0).r;
    let v10 = textureLoad(logits, vec2<i32>(high.x, low.y), 0).r;
    let v01 = textureLoad(logits, vec2<i32>(low.x, high.y), 0).r;
    let v11 = textureLoad(logits, high, 0).r;
    let top = v00 * (1.0 - f.x) + v10 * f.x;
    let bottom = v01 * (1.0 - f.x) + v11 * f.x;
    let logit = top * (1.0 - f.y) + bottom * f.y;

    // Signed distance to the contour in physical pixels, from the slope of the same four values.
    let slope = vec2<f32>((v10 - v00) * (1.0 - f.y) + (v11 - v01) * f.y, bottom - top) * cells_a_pixel / view.zoom_px;
    let steepness = max(length(slope), 1e-6);
    let distance_px = (logit - field.threshold) / steepness;
    let inside = clamp(distance_px + 0.5, 0.0, 1.0);
    let line = select(0.0, clamp(field.outline_half_px + 0.5 - abs(distance_px), 0.0, 1.0), field.outline_half_px > 0.0);

    // Stripes across the screen look like dashes along the line; where the line runs along the stripes, the stripes
    // are turned. Their flanks are one pixel soft.
    let turned = slope.x * slope.y > 0.35 * steepness * steepness;
    let stripe = position.x + select(position.y, -position.y, turned);
    let along = fract(stripe / field.dash_period_px - field.dash_phase);
    let wave = (abs(along - 0.5) * 2.0 - 0.5) * field.dash_period_px * 0.5;
    let dash = mix(field.dash_a, field.dash_b, clamp(wave + 0.5, 0.0, 1.0));
    return output_color(over(dash * line, field.tint * inside));
}
