"""Raspberry Pi Pico W, stock firmware. Fields: host_tools/boards/facts.py.

The LED hangs on the Wi-Fi chip. In an emulator firmware 1.27 has 199,968 bytes free once Wi-Fi is
active; connected was not measured.
"""

CHIP = "RP2040"
FIRMWARE = "RPI_PICO_W"
PLATFORM = "rp2"
MPY_ARCH = "armv6m"
FLASH_OFFSET = None
LED_PIN = "LED"
LED_LIT = 1
HEAP_CONNECTED = None
WIFI_POWER_SAVE = "PM_NONE"
TICK_MS = None
TICK_REMEDY = None
