// All committed masks at once: one texture says which instance is on top of each pixel, one palette how it looks. The
// cost does not depend on the number of instances. Twin: `twin::instances`.

// Which instance is on top, 0 for none; may be coarser than the picture.
@group(1) @binding(0) var ids: texture_2d<u32>;
// 256 x 256: colour in rgb, flags in a (1 visible, 2 selected).
@group(1) @binding(1) var palette: texture_2d<u32>;

const VISIBLE: u32 = 1u;
const SELECTED: u32 = 2u;

@vertex
fn vertex_main(@builtin(vertex_index) index: u32) -> @builtin(position) vec4<f32> {
    return picture_corner(index);
}

fn look(id: u32) -> vec4<u32> {
    return textureLoad(palette, vec2<i32>(i32(id & 255u), i32(id >> 8u)), 0);
}

// The visible instance at a picture point, 0 for none.
fn id_at(at: vec2<f32>) -> u32 {
    let size = vec2<i32>(textureDimensions(ids, 0));
    let texel = vec2<i32>(floor(at / view.picture * vec2<f32>(size)));
    if (any(texel < vec2<i32>(0)) || any(texel >= size)) {
        return 0u;
    }
    return textureLoad(ids, texel, 0).r;
}

fn color_of(look_of: vec4<u32>) -> vec3<f32> {
    return vec3<f32>(look_of.rgb) / 255.0;
}

@fragment
fn fragment_main(@builtin(position) position: vec4<f32>) -> @location(0) vec4<f32> {
    let at = image_from_fragment(position.xy);
    let step = 1.0 / view.zoom_px;

    // A 3 x 3 tent one physical pixel wide: its average smooths the tint, its disagreement is the edge.
    var tint = vec4<f32>(0.0);
    var edge = 0.0;
    var center_id = id_at(at);
    var center = look(center_id);
    if ((center.a & VISIBLE) == 0u) {
        center_id = 0u;
        center = vec4<u32>(0u);
    }
    // Whose edge it is: the pixel's own instance, or beside it the neighbour that weighs most.
    var owner = center;
    var owner_weight = 0.0;
    for (var dy = -1; dy <= 1; dy++) {
        for (var dx = -1; dx <= 1; dx++) {
            let weight = f32((2 - abs(dx)) * (2 - abs(dy))) / 16.0;
            var id = center_id;
            var shown = center;
            if (dx != 0 || dy != 0) {
                id = id_at(at + vec2<f32>(f32(dx), f32(dy)) * step);
                if (id != center_id) {
                    shown = look(id);
                    if ((shown.a & VISIBLE) == 0u) {
                        id = 0u;
                        shown = vec4<u32>(0u);
                    }
                }
            }
            if (id != 0u) {
                let strength = select(1.0, 1.3, (shown.a & SELECTED) != 0u);
                let opacity = min(view.tint_opacity * strength, 1.0) * weight;
                tint += vec4<f32>(color_of(shown) * opacity, opacity);
            }
            if (id != center_id) {
                edge += weight;
                if (center_id == 0u && weight > owner_weight) {
                    owner = shown;
                    owner_weight = weight;
                }
            }
        }
    }
    if (view.outlines == 0u) {
        return output_color(tint);
    }
    var line = min(edge * 4.0, 1.0);
    var line_color = color_of(owner);

    // A selected instance has a white line with a broad rim of its own colour.
    var rim = 0.0;
    var rim_color = vec3<f32>(0.0);
    if (view.selection != 0u) {
        for (var dy = -1; dy <= 1; dy++) {
            for (var dx = -1; dx <= 1; dx++) {
                // On a circle of three physical pixels.
                let reach = select(3.0, 2.1213203, dx * dy != 0) * step;
                let id = id_at(at + vec2<f32>(f32(dx), f32(dy)) * reach);
                if (id == center_id) {
                    continue;
                }
                let shown = look(id);
                if ((center.a & SELECTED) != 0u) {
                    rim += 0.34;
                    rim_color = color_of(center);
                } else if (shown.a == (VISIBLE | SELECTED)) {
                    rim += 0.34;
                    rim_color = color_of(shown);
                }
            }
        }
    }
    if ((owner.a & SELECTED) != 0u) {
        line_color = vec3<f32>(1.0);
    }
    rim = min(rim, 1.0);
    let rimmed = over(vec4<f32>(rim_color * rim, rim), tint);
    return output_color(over(vec4<f32>(line_color * line, line), rimmed));
}
