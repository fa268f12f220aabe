// The picture: trilinear between mip levels when it is small, bilinear around 1:1, flat squares from about 3:1.
// Twin: `twin::picture`.

@group(1) @binding(0) var picture_texture: texture_2d<f32>;
@group(1) @binding(1) var picture_sampler: sampler;

@vertex
fn vertex_main(@builtin(vertex_index) index: u32) -> @builtin(position) vec4<f32> {
    return picture_corner(index);
}

@fragment
fn fragment_main(@builtin(position) position: vec4<f32>) -> @location(0) vec4<f32> {
    let share = image_from_fragment(position.xy) / view.picture;
    if (view.nearest != 0u) {
        let size = vec2<i32>(textureDimensions(picture_texture, 0));
        let texel = clamp(vec2<i32>(floor(share * vec2<f32>(size))), vec2<i32>(0), size - 1);
        return output_color(vec4<f32>(textureLoad(picture_texture, texel, 0).rgb, 1.0));
    }
    return output_color(vec4<f32>(textureSampleLevel(picture_texture, picture_sampler, share, view.lod).rgb, 1.0));
}
