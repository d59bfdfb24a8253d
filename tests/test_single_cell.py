"Codes in the programs of single-cell biology: what `microvae embed` and `annotate` write, opened by scanpy, squidpy and SpatialData."

import numpy as np
import pandas as pd
import pytest
import tifffile

import microvae as mv

anndata = pytest.importorskip("anndata", reason="pip install 'microvae[anndata]'")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    "Two fields with 30 cells each, their label images, a model, and codes."
    folder = tmp_path_factory.mktemp("single_cell")
    (folder / "images").mkdir()
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:200, :240]
    for name in ("a", "b"):
        labels = np.zeros(y.shape, np.uint16)
        plane = np.zeros(y.shape)
        for number, (row, column) in enumerate([(r, c) for r in range(20, 200, 40) for c in range(20, 240, 40)], 1):
            inside = (y - row) ** 2 + (x - column) ** 2 < rng.uniform(6, 11) ** 2
            labels[inside] = number
            plane[inside] = rng.uniform(1000, 4000)
        planes = np.stack([plane, 0.5 * plane]) + rng.normal(200, 20, (2, *y.shape))
        tifffile.imwrite(
            folder / "images" / f"{name}.tif",
            planes.astype(np.uint16),
            imagej=True,
            resolution=(4.0, 4.0),
            metadata={"axes": "CYX", "unit": "um"},
        )
        tifffile.imwrite(folder / "images" / f"{name}_mask.tif", labels)
    cells = mv.crop_fields(folder / "images", 24, ("DNA", "actin"), labels="*_mask.tif", progress=False, workers=1)
    config = mv.RunConfig(model=mv.ModelConfig("adaptable", 4), training=mv.Training(epochs=2))
    model = mv.fit(None, cells, config, progress=False, device="cpu")
    codes = mv.embedding(model, cells).assign(drug=["DMSO", "x"] * 30)
    mv.write_embedding(codes, folder / "codes.h5ad", model, cells)
    codes.to_csv(folder / "codes.csv", index=False)
    return folder


def test_scanpy_takes_the_file_as_it_comes(place):
    scanpy = pytest.importorskip("scanpy", reason="pip install scanpy")
    data = scanpy.read_h5ad(place / "codes.h5ad")
    scanpy.pp.neighbors(data, n_neighbors=10, use_rep="X_microvae")
    scanpy.tl.umap(data)
    assert data.obsm["X_umap"].shape == (60, 2)
    pytest.importorskip("leidenalg", reason="pip install leidenalg")
    scanpy.tl.leiden(data, flavor="igraph", n_iterations=2)
    assert data.obs.leiden.nunique() >= 1
    scanpy.tl.rank_genes_groups(data, "drug", method="t-test")
    assert "rank_genes_groups" in data.uns


def test_squidpy_finds_neighbours_within_fields_only(place):
    squidpy = pytest.importorskip("squidpy", reason="pip install squidpy")
    data = anndata.read_h5ad(place / "codes.h5ad")
    squidpy.gr.spatial_neighbors(data, coord_type="generic", n_neighs=4, library_key="field")
    first, second = data.obsp["spatial_connectivities"].nonzero()
    fields = data.obs.field.to_numpy()
    assert len(first) > 100
    assert (fields[first] == fields[second]).all()
    apart = np.linalg.norm(data.obsm["spatial"][first] - data.obsm["spatial"][second], axis=1)
    assert np.median(apart) == pytest.approx(40, abs=2)


def test_images_of_cells_are_where_others_look_for_them(place):
    data = anndata.read_h5ad(place / "codes.h5ad")
    assert data.obsm["single_cell_images"].shape == (60, 2, 24, 24)
    assert list(data.uns["single_cell_images"]["channel_names"]) == ["DNA", "actin"]
    assert data.uns["microvae"]["units"]["spatial"] == "pixel"
    subset = data[data.obs.drug == "x"]
    assert subset.obsm["single_cell_images"].shape[0] == 30


def test_a_store_of_spatialdata_has_fields_objects_and_table(place):
    spatialdata = pytest.importorskip("spatialdata", reason="pip install 'microvae[spatialdata]'")
    where = dict(source=place / "images", labels="*_mask.tif")
    mv.annotate(place / "codes.csv", place / "store", "spatialdata", **where)
    store = spatialdata.read_zarr(place / "store" / "cells.zarr")
    assert sorted(store.coordinate_systems) == ["a.tif", "b.tif"]
    table = store.tables["cells"]
    assert len(table) == 60
    assert table.obs.region.value_counts().to_dict() == {"a.tif_labels": 30, "b.tif_labels": 30}
    labels = store.labels["b.tif_labels"].values
    rows = table.obs[table.obs.region == "b.tif_labels"]
    assert set(rows.label) == set(np.unique(labels)) - {0}
    centre = labels[rows.row.round().astype(int), rows.column.round().astype(int)]
    assert centre.tolist() == rows.label.tolist()
    (scale,) = spatialdata.transformations.get_transformation(store.labels["b.tif_labels"], get_all=True).values()
    assert scale.to_affine_matrix(("y", "x"), ("y", "x"))[0, 0] == pytest.approx(0.25)
    assert tifffile.imread(place / "images" / "a.tif").tolist() == store.images["a.tif_image"].values.tolist()


def test_the_table_comes_back_with_its_types(place):
    back = mv.read_embedding(place / "codes.h5ad")
    there = pd.read_csv(place / "codes.csv")
    assert list(back) == list(there)
    assert back.file.dtype == object or pd.api.types.is_string_dtype(back.file)
    assert back.label.dtype.kind == "i"
    assert back.touches_border.dtype == bool
