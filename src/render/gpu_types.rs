//! What the shaders read from uniform buffers, as the host writes it.
//!
//! Invariant: every struct here has the layout that naga gives its WGSL twin; a test compares the offsets by name, so
//! neither side can be changed alone.

use bytemuck::{Pod, Zeroable};

/// Twin of `View` in `shaders/common.wgsl`; the fields are explained there.
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct ViewUniform {
    /// Physical pixels.
    pub origin_px: [f32; 2],
    /// Physical pixels.
    pub screen_px: [f32; 2],
    /// Picture pixels.
    pub picture: [f32; 2],
    /// Physical pixels a picture pixel.
    pub zoom_px: f32,
    /// Level of the bound texture.
    pub lod: f32,
    /// 0 or 1.
    pub nearest: u32,
    /// 0 or 1.
    pub linear_output: u32,
    /// 0..=1.
    pub tint_opacity: f32,
    /// 0 or 1.
    pub outlines: u32,
    /// 0 or 1.
    pub selection: u32,
    /// Uniform buffers are whole multiples of 16 bytes.
    pub padding: [u32; 3],
}

/// Twin of `Field` in `shaders/mask_overlay.wgsl`; the fields are explained there.
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct FieldUniform {
    /// x, y, width, height in picture pixels.
    pub span: [f32; 4],
    /// Premultiplied, sRGB-encoded.
    pub tint: [f32; 4],
    /// Premultiplied, sRGB-encoded.
    pub dash_a: [f32; 4],
    /// Premultiplied, sRGB-encoded.
    pub dash_b: [f32; 4],
    /// Logit.
    pub threshold: f32,
    /// Physical pixels.
    pub outline_half_px: f32,
    /// Physical pixels.
    pub dash_period_px: f32,
    /// 0..1.
    pub dash_phase: f32,
}

/// Bit of a palette entry: the instance is shown.
pub const FLAG_VISIBLE: u8 = 1;
/// Bit of a palette entry: the instance is selected.
pub const FLAG_SELECTED: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::pipelines::{INSTANCES_WGSL, MASK_OVERLAY_WGSL, PICTURE_WGSL};
    use std::mem::offset_of;

    fn parsed(source: &str) -> naga::Module {
        let module = naga::front::wgsl::parse_str(source).unwrap_or_else(|e| panic!("{}", e.emit_to_string(source)));
        naga::valid::Validator::new(naga::valid::ValidationFlags::all(), naga::valid::Capabilities::empty())
            .validate(&module)
            .unwrap_or_else(|e| panic!("{}", e.emit_to_string(source)));
        module
    }

    fn layout(module: &naga::Module, name: &str) -> (Vec<(String, usize)>, usize) {
        let (_, found) = module.types.iter().find(|(_, t)| t.name.as_deref() == Some(name)).expect("the struct exists");
        let naga::TypeInner::Struct { members, span } = &found.inner else { panic!("{name} is no struct") };
        let offsets =
            members.iter().map(|m| (m.name.clone().expect("members have names"), m.offset as usize)).collect();
        (offsets, *span as usize)
    }

    #[test]
    fn every_shader_is_valid_wgsl_without_any_optional_capability() {
        for source in [&*PICTURE_WGSL, &*MASK_OVERLAY_WGSL, &*INSTANCES_WGSL] {
            let module = parsed(source);
            assert_eq!(module.entry_points.len(), 2);
        }
    }

    #[test]
    fn the_view_has_the_shaders_layout() {
        let (offsets, size) = layout(&parsed(&PICTURE_WGSL), "View");
        let padding = offset_of!(ViewUniform, padding);
        let host = [
            ("origin_px", offset_of!(ViewUniform, origin_px)),
            ("screen_px", offset_of!(ViewUniform, screen_px)),
            ("picture", offset_of!(ViewUniform, picture)),
            ("zoom_px", offset_of!(ViewUniform, zoom_px)),
            ("lod", offset_of!(ViewUniform, lod)),
            ("nearest", offset_of!(ViewUniform, nearest)),
            ("linear_output", offset_of!(ViewUniform, linear_output)),
            ("tint_opacity", offset_of!(ViewUniform, tint_opacity)),
            ("outlines", offset_of!(ViewUniform, outlines)),
            ("selection", offset_of!(ViewUniform, selection)),
            ("padding_0", padding),
            ("padding_1", padding + 4),
            ("padding_2", padding + 8),
        ]
        .map(|(name, at)| (name.to_owned(), at));
        assert_eq!(offsets, host);
        assert_eq!(size, size_of::<ViewUniform>());
        assert_eq!(size % 16, 0);
    }

    #[test]
    fn the_field_has_the_shaders_layout() {
        let (offsets, size) = layout(&parsed(&MASK_OVERLAY_WGSL), "Field");
        let host = [
            ("span", offset_of!(FieldUniform, span)),
            ("tint", offset_of!(FieldUniform, tint)),
            ("dash_a", offset_of!(FieldUniform, dash_a)),
            ("dash_b", offset_of!(FieldUniform, dash_b)),
            ("threshold", offset_of!(FieldUniform, threshold)),
            ("outline_half_px", offset_of!(FieldUniform, outline_half_px)),
            ("dash_period_px", offset_of!(FieldUniform, dash_period_px)),
            ("dash_phase", offset_of!(FieldUniform, dash_phase)),
        ]
        .map(|(name, at)| (name.to_owned(), at));
        assert_eq!(offsets, host);
        assert_eq!(size, size_of::<FieldUniform>());
        assert_eq!(size % 16, 0);
    }
}
