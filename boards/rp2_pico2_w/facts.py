"""Raspberry Pi Pico 2 W, stock firmware (Arm cores). Fields: host_tools/boards/facts.py.

The LED hangs on the Wi-Fi chip.
"""

CHIP = "RP2350"
ESPTOOL_CHIP = None
FIRMWARE = "RPI_PICO2_W"
PLATFORM = "rp2"
MPY_ARCH = "armv7emsp"
USB_IDS = ((0x2E8A, 0x0005, "MicroPython"),)
FLASH_SIZE = 0x400000
FLASH_FREE = None
FLASH_MAP = None
FIRMWARE_CALLS = None
FLASH_OFFSET = None
UF2_FAMILY = 0xE48BFF59
UF2_BOARD = "RP2350"
CPU_HZ = None
LED_PIN = "LED"
LED_LIT = 1
HEAP_CONNECTED = None
WIFI_POWER_SAVE = "PM_NONE"
TICK_MS = None
TICK_REMEDY = None
