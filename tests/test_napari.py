"The plug-in in a napari window without a screen: pip install 'microvae[napari]' pyqt5."

import os
from contextlib import suppress
from importlib.metadata import EntryPoint, distribution

import numpy as np
import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
napari = pytest.importorskip("napari", reason="pip install 'microvae[napari]'")
qtpy = pytest.importorskip("qtpy", reason="pip install pyqt5")
pytest.importorskip("qtpy.QtWidgets", reason="pip install pyqt5", exc_type=ImportError)
pytest.importorskip("magicgui", reason="pip install pyqt5")

from matplotlib.backend_bases import MouseButton, MouseEvent  # noqa: E402


@pytest.fixture(scope="module")
def field():
    "Two channels of 20 cells, every second one large, and their labels."
    y, x = np.mgrid[:160, :200]
    labels = np.zeros(y.shape, int)
    for number, (row, column) in enumerate([(r, c) for r in range(20, 160, 40) for c in range(20, 200, 40)], start=1):
        labels[(y - row) ** 2 + (x - column) ** 2 < (8 + 4 * (number % 2)) ** 2] = number
    noise = np.random.default_rng(0).normal(100, 10, (2, *y.shape))
    return np.stack([1000 * (labels > 0), 300 * (labels % 2)]) + noise, labels


def test_the_manifest_is_found_and_its_panels_are_there(root):
    npe2 = pytest.importorskip("npe2")
    setup = (root / "setup.py").read_text()
    assert "\"napari.manifest\": [f\"{cfg['lib_name']} = {cfg['lib_name']}.app:napari.yaml\"]" in setup
    entry = EntryPoint("microvae", "microvae.app:napari.yaml", "napari.manifest")
    manifest = npe2.PluginManifest._from_entrypoint(entry, distribution("microvae"))
    for command in manifest.contributions.commands:
        assert callable(_named(command.python_name))


def _named(name):
    from importlib import import_module

    module, _, part = name.partition(":")
    return getattr(import_module(module), part)


def drawn(canvas, places):
    "The mouse goes along places of a map with its left button held."
    press, *way = places
    events = [MouseEvent("button_press_event", canvas, *press, MouseButton.LEFT)]
    events += [MouseEvent("motion_notify_event", canvas, x, y, buttons=[MouseButton.LEFT]) for x, y in way]
    events.append(MouseEvent("button_release_event", canvas, *places[-1], MouseButton.LEFT))
    for event in events:
        canvas.callbacks.process(event.name, event)


def check_both_sides(linked):
    "What is selected on the image is selected on the map, and the reverse, by clicks and by a lasso of the mouse."
    assert len(linked.points.data) == 20
    linked.points.selected_data = {2, 4}
    assert np.array_equal(linked.rings.get_offsets(), linked.places[[2, 4]])
    canvas = linked.figure.canvas
    canvas.draw()
    on_screen = linked.axis.transData.transform(linked.places)
    drawn(canvas, [on_screen[9], on_screen[9]])
    assert linked.points.selected_data == {9}
    box = linked.axis.bbox
    corners = np.array([(box.x0, box.y0), (box.x0, box.y1), (box.x1, box.y1), (box.x1, box.y0), (box.x0, box.y0)])
    drawn(canvas, corners + [[1, 1], [1, -1], [-1, -1], [-1, 1], [1, 1]])
    assert linked.points.selected_data == set(range(20))


def test_a_panel_of_qt_is_linked_with_the_layers(field):
    from microvae.app.viewer import LinkedMap, linked_panel, train_on_layers

    app = qtpy.QtWidgets.QApplication.instance() or qtpy.QtWidgets.QApplication([])
    image, labels = field
    _, codes = train_on_layers(image, labels, 32, 2, epochs=2)
    viewer = napari.components.ViewerModel()
    viewer.add_image(image)
    linked = LinkedMap(viewer, codes)
    panel = linked_panel(linked)
    panel.resize(400, 450)
    app.processEvents()
    check_both_sides(linked)
    choice = panel.findChild(qtpy.QtWidgets.QComboBox)
    choice.setCurrentText("area")
    assert linked.axis.get_title() == "area"


def test_train_in_a_window(field):
    "The whole window, which napari draws by OpenGL."
    from microvae.app.viewer import train_panel

    image, labels = field
    viewer = napari.Viewer(show=False)
    try:
        try:
            viewer.add_image(image, name="field")
        except AttributeError:
            pytest.skip("there is no OpenGL here, which napari draws with")
        viewer.add_labels(labels, name="cells of the field")
        panel = train_panel()
        viewer.window.add_dock_widget(panel)
        panel(viewer.layers["field"], viewer.layers["cells of the field"], size=32, latent_dim=2, epochs=2)
        shown = viewer.window._qt_window.findChildren(qtpy.QtWidgets.QWidget)
        (linked,) = [widget.linked for widget in shown if hasattr(widget, "linked")]
        check_both_sides(linked)
    finally:
        with suppress(KeyError):  # a layer that could not be drawn
            viewer.close()
