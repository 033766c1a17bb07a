"""Raspberry Pi Pico 2 W, stock firmware (Arm cores). Fields: host_tools/boards/facts.py.

The LED hangs on the Wi-Fi chip.
"""

CHIP = "RP2350"
FIRMWARE = "RPI_PICO2_W"
PLATFORM = "rp2"
MPY_ARCH = "armv7emsp"
FLASH_FREE = None
FLASH_OFFSET = None
LED_PIN = "LED"
LED_LIT = 1
HEAP_CONNECTED = None
WIFI_POWER_SAVE = "PM_NONE"
TICK_MS = None
TICK_REMEDY = None
