"""Raspberry Pi Pico W, stock firmware. Fields: host_tools/boards/facts.py.

The LED hangs on the Wi-Fi chip. In an emulator firmware 1.27 has 199,968 bytes free once Wi-Fi is
active; connected was not measured. It ends at 0x100D5E00, and the file system of 848 KB begins
where the free flash ends.
"""

CHIP = "RP2040"
ESPTOOL_CHIP = None
FIRMWARE = "RPI_PICO_W"
PLATFORM = "rp2"
MPY_ARCH = "armv6m"
USB_IDS = ((0x2E8A, 0x0005, "MicroPython"),)
FLASH_SIZE = 0x200000
FLASH_FREE = (0x100D8000, 0x1012C000)
FLASH_MAP = None
FIRMWARE_CALLS = None
FLASH_OFFSET = None
UF2_FAMILY = 0xE48BFF56
UF2_BOARD = "RPI-RP2"
CPU_HZ = None
LED_PIN = "LED"
LED_LIT = 1
HEAP_CONNECTED = None
WIFI_POWER_SAVE = "PM_NONE"
TICK_MS = None
TICK_REMEDY = None
