"""Shipping labels as blobs: one blob an order, `<order id>.pdf`, whose metadata says whether it is issued or void.

The blob is the record and the tombstone in one. Issuing creates it and never overwrites (`If-None-Match: *`), so a
label that was voided before it was issued stays void and refuses the late issue. Voiding overwrites only what it has
read (`If-Match`), so no issue can slip in between.

The void page has no address: a reader who must see that the label is void needs no recipient, and a cancelled order is
no reason to keep one. Rejected: deleting the blob. A label that is gone cannot be seen to be void, and refuses
nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.storage.blob import BlobProperties, ContainerClient, ContentSettings, StorageErrorCode

from models.errors import Refused
from models.label import Label
from models.order_record import OrderRecord
from services.label_pdf import erased_label, issued_label, load_font, void_label
from services.storage import storage_faults, write_attempts

# Crockford's base 32: no I, L, O or U, so that a number read aloud or typed off a parcel stays the same.
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
TRACKING_LENGTH = 14
PDF = ContentSettings(content_type="application/pdf")


def tracking_number(order_id: str) -> str:
    """14 characters of the order id's SHA-256, 5 bits each: 70 bits, so two orders do not meet."""
    digest = int.from_bytes(hashlib.sha256(order_id.encode()).digest())
    return "".join(CROCKFORD[digest >> (251 - 5 * place) & 31] for place in range(TRACKING_LENGTH))


class BlobLabels:
    """Fulfils `Labels`. The container is created when a label first needs it. Safe to share between threads."""

    def __init__(self, container: ContainerClient) -> None:
        self._container = container
        load_font()  # now, and not by the first order

    def issue(self, order: OrderRecord) -> str:
        """Store the label, or find it. Returns the tracking number. Raises Refused("label_voided") or Unavailable."""
        number = tracking_number(order.order_id)
        page = issued_label(order.contents.shipping_address, order.order_id, number)
        with storage_faults(f"the label of order {order.order_id}"):
            for _ in write_attempts(f"the label of order {order.order_id}"):
                if self._create(order.order_id, page, "issued") or self._is_issued(order.order_id):
                    break
        return number

    def void(self, order_id: str) -> None:
        """Put the void page in the label's place, also where there is no label. Safe to repeat. Raises Unavailable."""
        page = void_label(order_id, tracking_number(order_id))
        with storage_faults(f"the label of order {order_id}"):
            for _ in write_attempts(f"the label of order {order_id}"):
                if self._void_once(order_id, page):
                    return

    def erase(self, order_id: str) -> None:
        """Take the address off a label. A void page has no address, and stays. Safe to repeat. Raises Unavailable."""
        page = erased_label(order_id, tracking_number(order_id))
        with storage_faults(f"the label of order {order_id}"):
            for _ in write_attempts(f"the label of order {order_id}"):
                blob = self._find(order_id)
                if blob is None or _is_void(blob) or self._replace(order_id, page, blob, "erased"):
                    return

    def read(self, order_id: str) -> Label | None:
        """The label with its status; None when there never was one. Raises Unavailable."""
        with storage_faults(f"the label of order {order_id}"):
            try:
                download = self._container.download_blob(_name(order_id))
            except ResourceNotFoundError:
                return None
            return Label(download.properties.metadata.get("status", ""), download.readall())

    def _void_once(self, order_id: str, page: bytes) -> bool:
        """Whether the label is void now. False: another writer was first."""
        blob = self._find(order_id)
        if blob is None:
            return self._create(order_id, page, "void")
        return _is_void(blob) or self._replace(order_id, page, blob, "void")

    def _is_issued(self, order_id: str) -> bool:
        """False when there is no blob after all."""
        blob = self._find(order_id)
        if blob is not None and _is_void(blob):
            raise Refused("label_voided")
        return blob is not None

    def _create(self, order_id: str, page: bytes, status: str) -> bool:
        """False when the blob is there already."""
        try:
            self._upload(order_id, page, status, overwrite=False)
        except (ResourceExistsError, ResourceModifiedError):
            return False
        return True

    def _replace(self, order_id: str, page: bytes, blob: BlobProperties, status: str) -> bool:
        """False when the blob is no longer the one that was found."""
        guard = {"etag": blob.etag, "match_condition": MatchConditions.IfNotModified}
        try:
            self._upload(order_id, page, status, overwrite=True, **guard)
        except ResourceModifiedError:
            return False
        return True

    def _upload(self, order_id: str, page: bytes, status: str, **condition: Any) -> None:
        metadata = {"order_id": order_id, "tracking_number": tracking_number(order_id), "status": status}
        options: Mapping[str, Any] = {"content_settings": PDF, "metadata": metadata, **condition}
        try:
            self._container.upload_blob(_name(order_id), page, **options)
        except ResourceNotFoundError as error:
            if getattr(error, "error_code", None) != StorageErrorCode.CONTAINER_NOT_FOUND:
                raise
            self._create_container()
            self._container.upload_blob(_name(order_id), page, **options)

    def _create_container(self) -> None:
        try:
            self._container.create_container()
        except ResourceExistsError:
            """Another thread's first label created it."""

    def _find(self, order_id: str) -> BlobProperties | None:
        try:
            return self._container.get_blob_client(_name(order_id)).get_blob_properties()
        except ResourceNotFoundError:
            return None


def _name(order_id: str) -> str:
    return f"{order_id}.pdf"


def _is_void(blob: BlobProperties) -> bool:
    return blob.metadata.get("status") == "void"
