"""What clients of plain HTTP need."""

import ssl
from typing import Final

# For `verify` of httpx: it would read every authority of this machine for each client, 30 ms of
# processor time, and this one trusts nobody.
NO_TLS: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
