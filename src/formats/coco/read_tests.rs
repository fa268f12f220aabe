//! Every way in which a COCO file can be wrong, one after the other, with a good record that must survive beside it.

use super::*;
use crate::raster::MaskError;
use crate::raster::test_masks::drawn;
use serde_json::{Value, json};

/// A file with a sound image, category and annotation, and one more annotation made by changing a copy of it.
fn with_annotation(change: impl FnOnce(&mut Value)) -> Value {
    let sound = json!({
        "id": 1, "image_id": 7, "category_id": 3, "iscrowd": 0, "area": 4, "bbox": [1, 0, 2, 2],
        "segmentation": [[1.25, 0.25, 2.75, 0.25, 2.75, 1.75, 1.25, 1.75]],
    });
    let mut other = sound.clone();
    other["id"] = json!(2);
    change(&mut other);
    json!({
        "images": [{"id": 7, "file_name": "a.png", "width": 4, "height": 3}],
        "annotations": [sound, other],
        "categories": [{"id": 3, "name": "cat"}],
    })
}

fn read(file: &Value) -> CocoRead {
    read_coco_bytes("in.json", file.to_string().as_bytes()).unwrap()
}

/// The reason why the changed annotation was left out; the sound one must have come in.
fn reason(change: impl FnOnce(&mut Value)) -> RefusalReason {
    let read = read(&with_annotation(change));
    assert_eq!(read.dataset.images[0].annotations, [CocoAnnotation::new("cat", drawn(&[".##.", ".##.", "...."]))]);
    assert_eq!(read.refusals.len(), 1, "{:?}", read.refusals);
    let refusal = &read.refusals[0];
    assert_eq!((refusal.file.as_str(), refusal.kind, refusal.position), ("in.json", RecordKind::Annotation, 2));
    let text = refusal.to_string();
    assert!(text.starts_with("in.json: annotation 2 ") && text.contains(&refusal.reason.to_string()), "{text}");
    refusal.reason.clone()
}

fn segmentation(value: Value) -> RefusalReason {
    reason(|annotation| annotation["segmentation"] = value)
}

/// The mask that the changed annotation came in with.
fn mask(change: impl FnOnce(&mut Value)) -> Mask {
    let read = read(&with_annotation(change));
    assert_eq!(read.refusals, []);
    read.dataset.images[0].annotations[1].mask.clone()
}

#[test]
fn rings_lists_and_strings_are_read() {
    let wanted = drawn(&[".##.", ".##.", "...."]);
    assert_eq!(mask(|_| ()), wanted);
    let list = json!({"size": [3, 4], "counts": [3, 2, 1, 2, 4]});
    assert_eq!(mask(|a| a["segmentation"] = list), wanted);
    let floats = json!({"size": [3.0, 4], "counts": [3.0, 2, 1, 2, 4]});
    assert_eq!(mask(|a| a["segmentation"] = floats), wanted);
    let string = json!({"size": [3, 4], "counts": crate::raster::rle_to_string(&wanted)});
    assert_eq!(mask(|a| a["segmentation"] = string), wanted);
    let two_rings = json!([[0, 0, 1, 0, 1, 3, 0, 3], [3, 0, 4, 0, 4, 3, 3, 3]]);
    assert_eq!(mask(|a| a["segmentation"] = two_rings), drawn(&["#..#", "#..#", "#..#"]));
    let beyond = json!([[-9, -9, 99, -9, 99, 99, -9, 99]]);
    assert_eq!(mask(|a| a["segmentation"] = beyond), drawn(&["####", "####", "####"]));
}

#[test]
fn optional_keys_may_be_missing_and_whole_floats_are_ids() {
    let wanted = drawn(&[".##.", ".##.", "...."]);
    for key in ["id", "area", "bbox", "iscrowd"] {
        assert_eq!(mask(|a| drop(a.as_object_mut().unwrap().remove(key))), wanted, "{key}");
    }
    assert_eq!(mask(|a| a["image_id"] = json!(7.0)), wanted);
    assert_eq!(mask(|a| a["id"] = json!(2.0)), wanted);
    assert_eq!(mask(|a| a["extra"] = json!({"deep": [1, null]})), wanted);
    // A wrong area is of no consequence: it is counted anew.
    assert_eq!(mask(|a| a["area"] = json!(999)).area(), 4);
}

#[test]
fn crowds_come_in_as_objects_and_it_is_said() {
    let read = read(&with_annotation(|a| a["iscrowd"] = json!(1)));
    assert_eq!(read.dataset.images[0].annotations.len(), 2);
    assert_eq!(read.notes, [CocoReadNote::CrowdsAsObjects(1)]);
    assert!(read.notes[0].to_string().contains("iscrowd 1"));
}

#[test]
fn lists_may_come_in_any_order_and_categories_may_be_missing() {
    let mut file = with_annotation(|_| ());
    file.as_object_mut().unwrap().remove("categories");
    let images = file.as_object_mut().unwrap().remove("images").unwrap();
    file["images"] = images;
    let text = file.to_string();
    assert!(text.find("annotations") < text.find("\"images\""));
    let read = read(&file);
    assert_eq!(read.refusals, []);
    assert_eq!(read.notes, [CocoReadNote::NoCategories]);
    assert_eq!((&read.dataset.categories[..], read.dataset.images[0].annotations.len()), (&["3".to_owned()][..], 2));
}

#[test]
fn wrong_rings_are_refused_with_their_reason() {
    use RefusalReason as R;
    assert_eq!(segmentation(json!([])), R::EmptySegmentation);
    assert_eq!(segmentation(json!([0, 0, 1, 0, 1, 1])), R::FlatRing);
    assert_eq!(segmentation(json!([[[0, 0], [1, 0], [1, 1]]])), R::NestedPairs(0));
    assert_eq!(segmentation(json!([[0, 0, 3, 3]])), R::ShortRing { ring: 0, found: 4 });
    assert_eq!(segmentation(json!([[]])), R::ShortRing { ring: 0, found: 0 });
    let odd = json!([[0, 0, 1, 0, 1, 3, 0, 3], [0, 0, 1, 0, 1, 1, 5]]);
    assert_eq!(segmentation(odd), R::OddRing { ring: 1, found: 7 });
    assert_eq!(segmentation(json!([[0, 0, 1, "a", 1, 1]])), R::NotANumber { ring: 0, at: 3 });
    assert_eq!(segmentation(json!([{}])), R::RingNotAList(0));
    assert_eq!(segmentation(json!([[50, 50, 60, 50, 60, 60]])), R::EmptyMask);
    assert!(matches!(segmentation(json!("text")), R::BadValue { key: "segmentation", .. }));
    assert!(matches!(segmentation(Value::Null), R::Missing("segmentation", _)));
}

#[test]
fn a_bare_nan_costs_one_record_and_not_the_file() {
    for word in ["NaN", "Infinity", "-Infinity", "1e999"] {
        let text = with_annotation(|a| a["segmentation"] = json!([[0, 0, 31337, 0, 1, 1]])).to_string();
        let read = read_coco_bytes("nan.json", text.replace("31337", word).as_bytes());
        match read {
            Ok(read) => {
                assert_eq!(read.refusals[0].reason, RefusalReason::NotANumber { ring: 0, at: 2 }, "{word}");
                assert_eq!(read.dataset.images[0].annotations.len(), 1);
            }
            // A number beyond any double is no number of JSON's grammar that the parser takes.
            Err(error) => assert!(word == "1e999" && matches!(error, CocoReadError::NotCoco { .. }), "{error}"),
        }
    }
}

#[test]
fn wrong_run_lengths_are_refused_with_their_reason() {
    use RefusalReason as R;
    let list = |counts: Value| segmentation(json!({"size": [3, 4], "counts": counts}));
    let sum = |found| R::Runs(MaskError::Sum { width: 4, height: 3, expected: 12, found });
    assert_eq!(list(json!([3, 2, 1, 2, 3])), sum(11));
    assert_eq!(list(json!([3, 2, 1, 2, 5])), sum(13));
    assert_eq!(list(json!([4_294_967_295u32, 4_294_967_295u32])), sum(8_589_934_590));
    assert_eq!(list(json!([])), sum(0));
    assert_eq!(list(json!([3, -2, 11])), R::BadRun(1));
    assert_eq!(list(json!([3, 2.5, 6.5])), R::BadRun(1));
    assert_eq!(list(json!(["3", 9])), R::BadRun(0));
    assert_eq!(list(json!([12])), R::EmptyMask);
    assert!(matches!(list(json!(5)), R::BadValue { key: "counts", .. }));
    assert!(matches!(list(json!("")), R::RunString(_)));
    assert!(matches!(list(json!("3 2")), R::RunString(_)));
    assert!(matches!(list(json!("32P")), R::RunString(_)));
    assert!(matches!(list(json!("猫")), R::RunString(_)));
    let size = |size: Value| segmentation(json!({"size": size, "counts": [3, 2, 1, 2, 4]}));
    let mismatch = R::SizeMismatch { found_width: 3, found_height: 4, width: 4, height: 3 };
    assert_eq!(size(json!([4, 3])), mismatch);
    assert!(matches!(size(json!([3])), R::BadValue { key: "size", .. }));
    assert!(matches!(size(json!([3, 4_000_000_000u32])), R::BadValue { key: "size", .. }));
    assert!(matches!(segmentation(json!({"counts": [12]})), R::Missing("size", _)));
    assert!(matches!(segmentation(json!({"size": [3, 4]})), R::Missing("counts", _)));
}

#[test]
fn wrong_references_and_ids_are_refused() {
    use RefusalReason as R;
    assert_eq!(reason(|a| a["image_id"] = json!(8)), R::UnknownImage(8));
    assert_eq!(reason(|a| a["category_id"] = json!(4)), R::UnknownCategory(4));
    assert_eq!(reason(|a| a["id"] = json!(1)), R::DuplicateId);
    assert!(matches!(reason(|a| a["id"] = json!("two")), R::BadValue { key: "id", .. }));
    assert!(matches!(reason(|a| a["image_id"] = json!("7")), R::BadValue { key: "image_id", .. }));
    assert!(matches!(reason(|a| a["image_id"] = json!(7.5)), R::BadValue { key: "image_id", .. }));
    assert!(matches!(reason(|a| drop(a.as_object_mut().unwrap().remove("image_id"))), R::Missing("image_id", _)));
    assert!(matches!(reason(|a| drop(a.as_object_mut().unwrap().remove("category_id"))), R::Missing("category_id", _)));
    assert!(matches!(reason(|a| drop(a.as_object_mut().unwrap().remove("segmentation"))), R::Missing(..)));
    assert_eq!(reason(|a| *a = json!([1, 2])), R::NotAnObject);
}

#[test]
fn wrong_images_and_categories_are_refused_and_their_annotations_too() {
    let refusals = |list: &str, change: &dyn Fn(&mut Value)| {
        let mut file = with_annotation(|_| ());
        change(&mut file[list][0]);
        let read = read(&file);
        let kinds: Vec<_> = read.refusals.iter().map(|refusal| refusal.kind).collect();
        assert_eq!(kinds[1..], [RecordKind::Annotation; 2], "{:?}", read.refusals);
        (kinds[0], read.refusals[0].reason.clone(), read.refusals[1].reason.clone())
    };
    use RefusalReason as R;
    for (key, value) in [
        ("width", json!(0)),
        ("width", json!(70_000)),
        ("height", json!(-3)),
        ("height", json!("3")),
        ("height", json!(2.5)),
        ("file_name", json!("")),
        ("file_name", json!(5)),
        ("id", json!("seven")),
    ] {
        let (kind, why, then) = refusals("images", &|image| image[key] = value.clone());
        assert_eq!((kind, then), (RecordKind::Image, R::UnknownImage(7)), "{key} {value}");
        assert!(matches!(why, R::BadValue { key: named, .. } if named == key), "{key} {value}: {why}");
    }
    let (_, why, _) = refusals("images", &|image| drop(image.as_object_mut().unwrap().remove("width")));
    assert!(matches!(why, R::Missing("width", _)));
    let (kind, why, then) = refusals("categories", &|category| category["name"] = json!(null));
    assert_eq!((kind, then), (RecordKind::Category, R::UnknownCategory(3)));
    assert!(matches!(why, R::Missing("name", _)));

    let mut file = with_annotation(|_| ());
    file["images"] = json!([file["images"][0], {"id": 7, "file_name": "b.png", "width": 9, "height": 9}]);
    file["categories"] = json!([{"id": 3, "name": "cat"}, {"id": 3, "name": "dog"}, {"id": 4, "name": "cat"}]);
    let read = read(&file);
    let found: Vec<_> = read.refusals.iter().map(|r| (r.kind, r.position, r.reason.clone())).collect();
    assert_eq!(found, [(RecordKind::Image, 2, R::DuplicateId), (RecordKind::Category, 2, R::DuplicateId)]);
    assert_eq!(read.dataset.categories, ["cat"]);
    assert_eq!(read.dataset.images[0].annotations.len(), 2);
}

#[test]
fn files_that_are_no_coco_at_all_are_errors_that_name_them() {
    let fail = |bytes: &[u8]| read_coco_bytes("it.json", bytes).unwrap_err();
    for bytes in
        [&b""[..], b"{", b"hello", b"[]", b"[{\"image_id\": 1}]", b"{\"images\": 5}", b"{\"images\": []} x", b"3"]
    {
        let error = fail(bytes);
        assert!(matches!(error, CocoReadError::NotCoco { .. }), "{error}");
        assert!(error.to_string().starts_with("it.json: "), "{error}");
    }
    assert!(matches!(fail(b"{\"images\": [\"\xff\"]}"), CocoReadError::NotUtf8 { at: 13, .. }));
    assert!(matches!(fail(b"\xff\xfe{\0}\0"), CocoReadError::NotUtf8 { at: 0, .. }));
    assert!(matches!(fail(b"{\"annotations\": []}"), CocoReadError::NoImages { .. }));
    let deep = format!("{{\"images\": {}", "[".repeat(100_000));
    assert!(matches!(fail(deep.as_bytes()), CocoReadError::NotCoco { .. }));
    let gone = read_coco(std::path::Path::new("/no such folder/x.json")).unwrap_err();
    assert!(matches!(gone, CocoReadError::Unreadable { .. }) && gone.to_string().contains("x.json"));
}

#[test]
fn a_byte_order_mark_is_no_obstacle_and_empty_lists_are_fine() {
    let read = read_coco_bytes("bom.json", b"\xef\xbb\xbf{\"images\": []}").unwrap();
    assert_eq!(read, CocoRead { dataset: CocoDataset::default(), refusals: Vec::new(), notes: Vec::new() });
}

#[test]
fn cut_and_flipped_files_never_panic() {
    let text = with_annotation(|a| a["segmentation"] = json!({"size": [3, 4], "counts": "32L4"})).to_string();
    for length in 0..text.len() {
        assert!(read_coco_bytes("cut.json", &text.as_bytes()[..length]).is_err());
    }
    let mut state = 7u32;
    for _ in 0..3_000 {
        let mut bytes = text.clone().into_bytes();
        for _ in 0..3 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let at = (state >> 8) as usize % bytes.len();
            bytes[at] = b"0123456789-.eE[]{},:\"a"[(state >> 3) as usize % 22];
        }
        let _ = read_coco_bytes("flipped.json", &bytes);
    }
}
